"""Knative's way, on the objects that the controller renders and on what KServe answers to them.

There is no Knative here: `Answered` gives an InferenceService the status that KServe's controller would
(pkg/apis/serving/v1beta1/inference_service_status.go and its Knative reconciler).
"""

import copy
from datetime import timedelta
from typing import Any

import pytest

from components.cluster.connection import Absent
from components.cluster.readiness import SOURCE_ANNOTATION
from lockgate.rollout.resource import Spec, Traffic
from lockgate.shipping.manifest import DIGEST_ANNOTATION
from serving.controller import loop
from serving.controller.cluster import knative
from serving.controller.cluster.knative import Knative
from serving.controller.cluster.knative_objects import service, split
from serving.controller.ports import Ports, RouteSeen
from tests.rollout.world import CANDIDATE, STABLE, World, revision, short

OWNER = {"apiVersion": "lockgate.dev/v1alpha1", "kind": "ModelRollout", "name": "tiny", "uid": "u"}


class Answered:
    """An API server with one InferenceService, to which KServe and Knative react when they are let."""

    def __init__(self) -> None:
        self.there: dict[str, Any] | None = None
        self.writes: list[tuple[str, int | None]] = []
        self.revisions: list[str] = []  # model folders' addresses, by number of the Knative revision
        self.starting = False

    def get(self, path: str, **query: str) -> dict[str, Any]:
        if path.endswith("/pods"):
            return {"items": [_pod(number, address) for number, address in enumerate(self._running())]}
        if self.there is None:
            raise Absent("none")
        return copy.deepcopy(self.there)

    def impose(self, manifest: dict[str, Any]) -> dict[str, Any]:
        status = (self.there or {}).get("status", {})
        self.there = {**copy.deepcopy(manifest), "status": status}
        predictor = manifest["spec"]["predictor"]
        address = predictor["model"]["storageUri"]
        if not self.revisions or self.revisions[-1] != address:
            self.revisions.append(address)
            self.starting = True
        self.writes.append((manifest["metadata"]["annotations"][DIGEST_ANNOTATION][:1], self._percent()))
        return self.get("")

    def _percent(self) -> int | None:
        assert self.there is not None
        found: int | None = self.there["spec"]["predictor"].get("canaryTrafficPercent")
        return found

    def _running(self) -> list[str]:
        kept = self.revisions[:-1] if self.starting else self.revisions
        return kept[-2:]

    def react(self) -> None:
        """What KServe does with the traffic, then what it notes of it."""
        if self.there is None:
            return
        status = self.there["status"].setdefault("components", {}).setdefault("predictor", {})
        newest = f"rev-{len(self.revisions)}"
        ready = status.get("latestReadyRevision", "") if self.starting else newest
        percent = self._percent()
        share = 100 if percent is None else percent
        rolled = status.get("latestRolledoutRevision", "")
        rest = status.get("previousRolledoutRevision", "") if rolled == ready else rolled
        targets = [{"revisionName": ready, "latestRevision": True, "percent": share}]
        if share < 100:
            targets.append({"revisionName": rest, "percent": 100 - share})
        status |= {"latestCreatedRevision": newest, "latestReadyRevision": ready, "traffic": targets}
        if rolled != ready and share == 100:
            status |= {"previousRolledoutRevision": rolled, "latestRolledoutRevision": ready}
        elif rolled == ready and share < 100 and newest == ready:
            status["latestRolledoutRevision"] = status.get("previousRolledoutRevision", "")

    def served(self) -> dict[str, int]:
        """Who gets the requests, by the first letter of the digest."""
        assert self.there is not None
        found: dict[str, int] = {}
        for target in self.there["status"]["components"]["predictor"]["traffic"]:
            if target["revisionName"]:
                number = int(target["revisionName"].removeprefix("rev-"))
                letter = self.revisions[number - 1][-1]
                found[letter] = found.get(letter, 0) + target["percent"]
        return {letter: share for letter, share in found.items() if share}


def _pod(number: int, address: str) -> dict[str, Any]:
    return {
        "metadata": {"name": f"p{number}", "uid": f"u{number}", "annotations": {SOURCE_ANNOTATION: address}},
        "spec": {"containers": [{"name": "kserve-container"}]},
        "status": {
            "podIP": "10.0.0.1",
            "containerStatuses": [
                {"name": "kserve-container", "ready": True, "restartCount": 0, "state": {"running": {}}}
            ],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


class Played(World):
    """The world, with Knative in the place of its fleet and route."""

    def begin_knative(self) -> "Played":
        self.api = Answered()
        self.knative = Knative(self.api, lambda: OWNER)  # type: ignore[arg-type]
        return self

    @property
    def ports(self) -> Ports:
        usual = super().ports
        return Ports(usual.store, usual.book, self.knative, self.knative, usual.counters)

    def tick(self, seconds: float = 10.0) -> loop.Looked | None:
        if self.api.there is not None:
            self.api.react()
            names = {"a": STABLE, "b": CANDIDATE, "c": "tiny-cccccccc"}
            self.route = {names[letter]: share for letter, share in self.api.served().items()}
            self.present = {names[address[-1]]: revision(address[-1]) for address in self.api.revisions}
        self.serve(seconds)
        self.now += timedelta(seconds=seconds)
        looked = loop.tick(self.ports, self.now)
        self.api.react()
        if self.api.starting and self.now.second % 20 == 0:
            self.api.starting = False
        return looked


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    monkeypatch.setattr(knative, "refusal", lambda *_: "")
    spec = short().model_copy(update={"traffic": Traffic(via="knative")})
    return Played(Spec.model_validate(spec.model_dump())).begin_knative()


def shares(world: Played) -> list[int | None]:
    """The candidate's percentages, in the order in which they were written."""
    found: list[int | None] = []
    for letter, percent in world.api.writes:
        if letter == "b" and (not found or found[-1] != percent):
            found.append(percent)
    return found


def test_the_object_is_named_like_the_model_and_has_what_knative_takes() -> None:
    made = service("tiny", "models", revision("b"), 5)
    assert made["metadata"]["name"] == "tiny"
    assert made["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Knative"
    assert "networking.kserve.io/visibility" not in made["metadata"]["labels"]
    predictor = made["spec"]["predictor"]
    assert predictor["canaryTrafficPercent"] == 5
    assert predictor["model"]["storageUri"].endswith("b" * 64)
    assert not {"deploymentStrategy", "securityContext", "topologySpreadConstraints"} & set(predictor)
    assert "canaryTrafficPercent" not in service("tiny", "models", revision("b"), None)["spec"]["predictor"]


def test_a_good_candidate_gets_its_share_in_steps_and_then_all(played: Played) -> None:
    played.begin()
    played.until(lambda w: w.status.stable == "b" * 64)
    assert shares(played) == [0, 5, 25, 50, 100, None]
    assert played.api.served() == {"b": 100}
    for _ in range(5):
        played.tick()
    assert played.api.writes[-1] == ("b", None)


def test_a_revision_is_asked_before_it_has_requests_and_not_after(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def refusal(model: str, row: object, urls: list[str]) -> str:
        asked.append((played.status.stage, len(urls)))
        return ""

    monkeypatch.setattr(knative, "refusal", refusal)
    played.begin()
    assert {stage for stage, _ in asked} == {"installing"}
    asked.clear()
    played.until(lambda w: w.status.weight == 25)
    assert asked == [("preparing", 1)], "the candidate, and not the stable"


@pytest.mark.parametrize("stage", ["stepping", "soaking"])
def test_a_bad_candidate_goes_back_and_the_stable_model_is_named_again(played: Played, stage: str) -> None:
    played.begin().until(lambda w: w.status.stage == stage and w.status.written == w.status.weight)
    played.behaviour(CANDIDATE).errors = 0.5
    played.until(lambda w: w.status.stage == "rolledBack")
    assert played.api.writes[-1] == ("b", 0), "first of all no request for the candidate"
    before = len(played.api.writes)
    for _ in range(20):
        played.tick()
        assert played.api.served() == {"a": 100}
    assert played.api.writes[before:] == [("a", 0), ("a", None)]
    assert split(played.api.get("")).is_rolled_out


def test_a_second_candidate_takes_the_first_ones_place_without_requests(played: Played) -> None:
    played.begin().until(lambda w: w.status.weight == 25 and w.status.written == 25)
    played.want("c")
    played.until(lambda w: w.status.candidate == "c" * 64 and w.status.stage == "stepping")
    assert [write for write in played.api.writes if write[0] == "c"][:2] == [("c", 0), ("c", 5)]
    assert played.api.writes[played.api.writes.index(("c", 0)) - 1] == ("b", 0)
    played.until(lambda w: w.status.stable == "c" * 64)
    assert played.api.served() == {"c": 100}


def test_the_split_is_read_from_what_knative_has_taken(played: Played) -> None:
    played.begin().until(lambda w: w.status.weight == 25 and w.status.written == 25)
    rollout = played.read()
    assert rollout is not None
    assert played.knative.read(rollout) == RouteSeen({STABLE: 75, CANDIDATE: 25})
    assert not played.knative.can_mirror(rollout)
