"""A model that was pushed directly comes under a ModelRollout as it is; the first of these tests."""

import pytest

from tests.cluster.kube import wait_for
from tests.cluster.rollout.noted import Noted
from tests.cluster.rollout.scene import Scene


def test_what_was_pushed_directly_is_adopted_and_not_touched(scene: Scene, noted: Noted) -> None:
    if scene.exists:
        pytest.skip("an earlier test has had it adopted")
    stable = scene.stable

    def pods() -> set[str]:
        labels = f"serving.kserve.io/inferenceservice={stable}"
        found = scene.kubectl.get("pods", namespace=scene.namespace, labels=labels)["items"]
        return {pod["metadata"]["uid"] for pod in found}

    def service() -> dict[str, object]:
        return scene.kubectl.get("inferenceservice", stable, namespace=scene.namespace)["metadata"]

    before, running = service(), pods()
    assert not before.get("ownerReferences")
    candidate = scene.push(scene.other())
    scene.until(lambda s: s.candidate_revision == candidate, 20, "the candidate's turn")
    owners = wait_for(lambda: service().get("ownerReferences"), 20, "an owner")
    shown = scene.shown
    assert f"{shown.model}-{shown.spec.stable.digest[:8]}" == shown.status.stable_revision == stable
    assert [(owner["kind"], owner["name"]) for owner in owners] == [("ModelRollout", shown.model)]
    after = service()
    assert (after["uid"], after["generation"]) == (before["uid"], before["generation"])
    assert pods() == running
    scene.patch({"spec": {"candidate": None}})
    status = scene.ended(candidate)
    assert status.history[0].outcome == "Withdrawn"
    assert noted.requests.lost() == {}
