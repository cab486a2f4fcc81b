"""The controller dies at every point where it writes, and begins again: the end is the same."""

from pathlib import Path

from serving.controller.failpoints import WRITES
from tests.cluster.kube import wait_for
from tests.cluster.rollout.noted import Noted
from tests.cluster.rollout.scene import Scene

# Every point before and after a write, in the order in which a rollout comes by: a good one, and one that is
# taken back in its first step. `event.after` of a bad one is after the word of its end and before the route.
GOOD = (
    "status.before", "status.after", "service.before", "service.after", "event.before", "event.after",
    "memory.before", "memory.after", "route.before", "route.after", "settle.before", "settle.after",
    "delete.before", "delete.after",
)  # fmt: skip
BAD = (
    "status.before", "status.after", "service.before", "service.after", "event.before", "memory.before",
    "memory.after", "event.after", "route.before", "route.after", "settle.before", "settle.after",
    "delete.before", "delete.after",
)  # fmt: skip
# For a pod's start, the longest of what lies between two points.
SECONDS = 180.0
KINDS = "inferenceservices,deployments,services,httproutes,configmaps"


def killed_at(scene: Scene, points: tuple[str, ...]) -> None:
    """Starts the controller again and again, to die at the next point each time; then to live."""
    assert sorted(points) == sorted(f"{write}.{side}" for write in WRITES for side in ("before", "after"))
    for point in points:
        scene.controller.start(failpoint=point)
        scene.controller.died(SECONDS)
        print(f"killed at {point}: {scene.status.phase} {scene.status.weight} %")
    scene.controller.start()


def objects(scene: Scene) -> set[tuple[str, str]]:
    """Kinds and names of all objects of models in the namespace that are not being deleted."""
    found = scene.kubectl.get(KINDS, namespace=scene.namespace)["items"]
    there = {(o["kind"], o["metadata"]["name"]) for o in found if "deletionTimestamp" not in o["metadata"]}
    return {(kind, name) for kind, name in there if name != "kube-root-ca.crt"}


def served_by(revision: str) -> set[tuple[str, str]]:
    """What there is where one revision serves and nothing goes on."""
    model = revision.rpartition("-")[0]
    return {
        ("InferenceService", revision),
        ("Deployment", f"{revision}-predictor"),
        ("Service", f"{revision}-predictor"),
        ("HTTPRoute", model),
        ("ConfigMap", f"{model}-rollout"),
    }


def test_a_good_candidate_gets_there_whatever_kills_the_controller(scene: Scene, noted: Noted) -> None:
    scene.controller.stop()
    model = scene.other()
    candidate = scene.push(model)
    killed_at(scene, GOOD)
    status = scene.ended(candidate)
    assert (status.stable, status.history[0].outcome) == (model.name, "Promoted")
    expected = served_by(candidate)
    wait_for(lambda: objects(scene) <= expected, 120, "the end of what the old revision had")
    assert noted.requests.lost() == {}
    assert (scene.shown.spec.stable.digest, scene.shown.spec.candidate) == (model.name, None)
    assert scene.route() == {candidate: 100}


def test_a_bad_candidate_goes_back_whatever_kills_the_controller(
    scene: Scene, noted: Noted, bad: dict[str, Path]
) -> None:
    scene.controller.stop()
    stable = scene.stable
    candidate = scene.push(bad["slow"], deadline_seconds=300)
    killed_at(scene, BAD)
    status = scene.ended(candidate)
    assert (status.stable_revision, status.history[0].outcome) == (stable, "RolledBack")
    assert status.history[0].reason == "Latency"
    assert len([past for past in status.history if past.candidate == status.candidate]) == 1
    expected = served_by(stable)
    wait_for(lambda: objects(scene) <= expected, 120, "the end of what the candidate had")
    assert noted.requests.lost() == {}
    assert scene.shown.spec.candidate is None
    assert scene.route() == {stable: 100}
