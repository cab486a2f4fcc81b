"""A ModelRollout in Git: its end is a commit, whatever others commit, however long Git is away."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.kube import wait_for
from tests.cluster.penguins import MODEL
from tests.cluster.rollout.noted import Noted
from tests.cluster.rollout.repository import PLACE, Repository
from tests.cluster.rollout.scene import POD_SECONDS, Scene

# Somebody else's commit reaches the branch while the controller's first push is under way.
RACE = """#!/bin/sh
test -e "$GIT_DIR/raced" && exit 0
touch "$GIT_DIR/raced"
unset GIT_QUARANTINE_PATH
export GIT_AUTHOR_NAME=somebody GIT_AUTHOR_EMAIL=somebody@example.org
export GIT_COMMITTER_NAME=somebody GIT_COMMITTER_EMAIL=somebody@example.org
ours=$(git commit-tree "$2^{tree}" -p "$2" -m "faster")
git update-ref refs/heads/main "$ours" "$2"
"""


@pytest.fixture
def repository(folder: Path) -> Repository:
    """An empty one."""
    place = folder / uuid.uuid4().hex[:6]
    place.mkdir()
    return Repository.made(place)


@pytest.fixture
def booked(scene: Scene, noted: Noted, repository: Repository) -> Iterator[Repository]:
    """The ModelRollout lies in the repository as long as the test lasts."""
    if not scene.exists:
        scene.push(next(model for model in scene.good if model != scene.other()))
        scene.until(lambda s: s.stable, POD_SECONDS, "the ModelRollout's own word")
    git = {"repository": repository.url, "branch": "main", "path": PLACE}
    scene.patch({"spec": {"git": git}})
    repository.commit("begin", written(scene))
    yield repository
    scene.patch({"spec": {"git": None}})


def written(scene: Scene) -> dict[str, Any]:
    """The ModelRollout as people would keep it in Git: no status, none of what the server adds."""
    there = scene.kubectl.get("modelrollout", MODEL, namespace=scene.namespace)
    kept = {"name": MODEL, "namespace": scene.namespace, "labels": there["metadata"].get("labels", {})}
    return {"apiVersion": there["apiVersion"], "kind": there["kind"], "metadata": kept, "spec": there["spec"]}


def follow(scene: Scene, repository: Repository) -> None:
    """Does what Flux and Argo CD do: applies what main has."""
    scene.kubectl(
        "apply", "--server-side", "--force-conflicts", "--field-manager=gitops", "-f", "-",
        stdin=yaml.safe_dump(repository.thing()),
    )  # fmt: skip


def propose(scene: Scene, repository: Repository, model: Path, **settings: Any) -> str:
    """Commits a candidate, as the push step does in Git mode, and lets the cluster follow."""
    revision = scene.offered(model, **settings)
    thing = repository.thing()
    pushed = revision.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    thing["spec"] |= {"candidate": pushed["stable"], "steps": pushed["steps"], "analysis": pushed["analysis"]}
    repository.commit(f"propose {revision.name}", thing)
    follow(scene, repository)
    return revision.name


def test_a_promotion_is_committed_on_top_of_a_commit_that_was_faster(
    scene: Scene, noted: Noted, booked: Repository
) -> None:
    model = scene.other()
    candidate = propose(scene, booked, model)
    hook = booked.bare / "hooks" / "update"
    hook.write_text(RACE)
    hook.chmod(0o755)
    booked.share()
    status = scene.until(
        lambda s: s.candidate_revision == candidate and s.stage == "promoted" and s.settled,
        POD_SECONDS + 60,
        "a promotion that is written down",
    )
    ours, faster, *before = booked.log()
    assert faster == "faster"
    assert before == [f"propose {candidate}", "begin"]
    message = booked.git("log", "-1", "--format=%B", "origin/main")
    assert candidate in ours + message
    assert "of the requests failed" in message, "the analysis is the commit's text"
    spec = booked.thing()["spec"]
    assert (spec["stable"]["digest"], spec.get("candidate")) == (model.name, None)
    follow(scene, booked)
    scene.until(lambda s: s.stable == model.name, 30, "the stable revision of Git's word")
    assert status.history[0].outcome == "Promoted"
    assert scene.route() == {candidate: 100}
    assert noted.requests.lost() == {}


def test_a_rollback_acts_first_and_is_committed_when_the_repository_is_back(
    scene: Scene, noted: Noted, booked: Repository, bad: dict[str, Path]
) -> None:
    stable = scene.stable
    candidate = propose(scene, booked, bad["slow"])
    scene.at_weight(candidate, 20)
    away = booked.bare.with_name("away.git")
    booked.bare.rename(away)
    try:
        scene.until(lambda s: s.stage == "rolledBack" and s.candidate_revision == candidate, 60, "a rollback")
        wait_for(lambda: scene.route() == {stable: 100}, 20, "all traffic at the stable revision")
        assert not scene.status.settled, "nobody could be told yet"
        assert {c.type: c.status for c in scene.status.conditions}["Settled"] == "False"
    finally:
        away.rename(booked.bare)
    scene.ended(candidate)
    assert len(booked.log()) == 3
    message = booked.git("log", "-1", "--format=%B", "origin/main")
    assert candidate in message
    assert "took more than" in message
    assert booked.thing()["spec"].get("candidate") is None
    follow(scene, booked)
    assert scene.shown.spec.candidate is None
    assert noted.requests.lost() == {}


def test_the_cluster_rebuilt_from_git_alone_serves_the_stable_and_starts_at_the_first_step(
    scene: Scene, noted: Noted, booked: Repository
) -> None:
    stable = scene.stable
    candidate = propose(scene, booked, scene.other())
    scene.at_weight(candidate, 50)
    scene.kubectl("delete", "modelrollout", MODEL, "-n", scene.namespace, "--cascade=foreground")
    wait_for(lambda: not scene.revisions() and not scene.route(), 120, "the end of all that it owns")
    follow(scene, booked)
    status = scene.until(lambda s: s.stable_revision == stable, POD_SECONDS, "the stable revision")
    assert status.history == ()
    seen = []

    def is_ended() -> bool:
        now = scene.status
        place = (now.stage, now.weight)
        if now.candidate_revision == candidate and seen[-1:] != [place]:
            seen.append(place)
        return now.stage == "promoted"

    scene.answered(60)
    served = scene.traffic.window()
    wait_for(is_ended, POD_SECONDS + 60, "the rollout, once more")
    print("stages", seen)
    assert [place for place in seen if place[0] == "stepping"] == [("stepping", 20), ("stepping", 50)]
    assert served.lost() == {}
    scene.until(lambda s: s.settled, 30, "the commit of the promotion")
    follow(scene, booked)
    scene.ended(candidate)
