"""What the controller reads out of objects on a cluster: pods, routes, who wrote them, ModelRollouts."""

from datetime import UTC, datetime
from typing import Any

import pytest

from components.cluster.connection import Taken
from lockgate.rollout.resource import Spec
from lockgate.rollout.status import Past, Status
from lockgate.shipping.manifest import route_of
from serving.controller.cluster.events import Events
from serving.controller.cluster.managed import has, others, overwriters
from serving.controller.cluster.pods import of_revision, ready_since, seen, servers
from serving.controller.cluster.store import Unreadable, mended, rollout_of
from serving.controller.cluster.traffic import PARTS, refusal, weights
from tests.rollout.world import short

A, B = "tiny-aaaaaaaa", "tiny-bbbbbbbb"
GATEWAY = "kserve/kserve-ingress-gateway"


def pod(name="p1", revision=A, ready="True", deleted=False, **container):
    status = {
        "name": "kserve-container", "restartCount": 0, "containerID": "containerd://0123456789abcdef",
        "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}, **container,
    }  # fmt: skip
    metadata = {
        "name": name,
        "uid": f"uid-{name}",
        "labels": {"serving.kserve.io/inferenceservice": revision},
    }
    if deleted:
        metadata["deletionTimestamp"] = "2026-01-01T00:01:00Z"
    limits = {"limits": {"memory": "1500M"}}
    return {
        "metadata": metadata,
        "spec": {"containers": [{"name": "kserve-container", "resources": limits}]},
        "status": {
            "podIP": "10.0.0.7",
            "containerStatuses": [status],
            "conditions": [
                {"type": "Ready", "status": ready, "lastTransitionTime": "2026-01-01T00:00:20Z"},
            ],
        },
    }


def route(mirror=None, sticky="", generation=2, **split):
    made = route_of("tiny", "models", "tiny.test", GATEWAY, split, mirror=mirror, sticky=sticky)
    made["metadata"]["generation"] = generation
    return made


def taken(there, generation=2, accepted="True", resolved="True"):
    """The route as a gateway has answered it."""
    conditions = [
        {"type": kind, "status": status, "observedGeneration": generation, "reason": "R", "message": "M"}
        for kind, status in (("Accepted", accepted), ("ResolvedRefs", resolved))
    ]
    namespace, name = GATEWAY.split("/")
    parent = {"parentRef": {"namespace": namespace, "name": name}, "conditions": conditions}
    return {**there, "status": {"parents": [parent]}}


def test_a_server_has_its_pods_address_its_memory_limit_and_a_name_for_each_start():
    (server,) = servers([pod()], "aaaaaaaa")
    assert server.url == "http://10.0.0.7:8080"
    assert server.memory == 1_500_000_000
    assert server.revision == "aaaaaaaa"
    (again,) = servers([pod(containerID="containerd://fedcba9876543210")], "aaaaaaaa")
    assert again.identity != server.identity
    assert again.identity.split("/")[0] == server.identity.split("/")[0] == "uid-p1"


def test_only_running_processes_are_asked_and_those_that_come_or_go_may_be_silent():
    waiting = pod(state={"waiting": {"reason": "CrashLoopBackOff"}})
    asked = servers([waiting, pod("p2"), pod("p3", ready="False"), pod("p4", deleted=True)], "aaaaaaaa")
    assert [(server.identity[:6], server.is_leaving) for server in asked] == [
        ("uid-p2", False), ("uid-p3", True), ("uid-p4", True),
    ]  # fmt: skip


def test_pods_are_told_apart_by_revision():
    assert [p["metadata"]["name"] for p in of_revision([pod(), pod("p2", B)], B)] == ["p2"]


def test_restarts_kills_and_last_words_are_seen():
    killed = {"terminated": {"exitCode": 137, "reason": "OOMKilled", "message": ""}}
    failed = {"terminated": {"exitCode": 8, "reason": "Error", "message": "one\n\ntwo\nthree\nfour\n"}}
    found = seen([pod(restartCount=2, lastState=failed), pod("p2", restartCount=1, lastState=killed)])
    assert found.restarts == 3
    assert found.out_of_memory == ("pod p2",)
    assert found.said == "exit code 8: two three four"
    assert seen([pod()]) == seen([])


def test_the_last_pod_that_became_ready_counts():
    later = pod("p2")
    later["status"]["conditions"][0]["lastTransitionTime"] = "2026-01-01T00:00:50Z"
    assert ready_since([pod(), later]) == datetime(2026, 1, 1, 0, 0, 50, tzinfo=UTC)
    assert ready_since([pod(ready="False")]) is None


@pytest.mark.parametrize("sticky", ["", "x-revision"])
def test_weights_are_those_of_requests_that_no_header_pins(sticky):
    assert weights(route(sticky=sticky, **{A: 95, B: 5})) == {A: 95, B: 5}


def test_weights_of_a_route_without_our_rules_are_nothing():
    there = route(**{A: 100})
    there["spec"]["rules"] = []
    assert weights(there) == {}


@pytest.mark.parametrize(
    ("there", "why"),
    [
        (taken(route(**{A: 100})), None),
        (taken(route(**{A: 100}), generation=1), ""),
        (route(**{A: 100}), ""),
        (taken(route(**{A: 100}), accepted="False"), "R: M"),
        (taken(route(**{A: 100}), resolved="False"), "R: M"),
    ],
    ids=["served", "an older generation", "not looked at", "not accepted", "no such Service"],
)
def test_a_route_is_in_force_when_the_gateway_has_taken_this_generation(there, why):
    assert refusal(there) == why


def test_another_gateways_answer_says_nothing():
    there = taken(route(**{A: 100}))
    there["status"]["parents"][0]["parentRef"]["name"] = "another"
    assert refusal(there) == ""


def test_who_wrote_the_spec_is_read_from_the_managed_fields():
    there = route(**{A: 100})
    written = {"f:parentRefs": {}, "f:hostnames": {}, "f:rules": {}}
    ours = {"manager": "lockgate", "operation": "Apply", "fieldsV1": {"f:spec": written}}
    status = {"manager": "traefik", "subresource": "status", "fieldsV1": {"f:status": {}}}
    edited = {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": {"f:rules": {}}}}
    labelled = {"manager": "kubectl-label", "fieldsV1": {"f:metadata": {"f:labels": {}}}}
    there["metadata"]["managedFields"] = [ours, status, labelled]
    assert others(there) == ""
    there["metadata"]["managedFields"].append(edited)
    assert others(there) == "kubectl-edit"
    # It has written the same rules, and holds them together with Lockgate.
    assert overwriters(there, PARTS) == ""
    ours["fieldsV1"] = {"f:spec": {"f:parentRefs": {}, "f:hostnames": {}}}
    assert overwriters(there, PARTS) == "kubectl-edit"


@pytest.mark.parametrize(
    ("there", "wanted", "is_there"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": {"b": [1, {"c": 2, "d": 3}]}}, {"a": {"b": [1, {"c": 2}]}}, True),
        ({"a": [1, 2, 3]}, {"a": [1, 2]}, False),
        ({"a": [2, 1]}, {"a": [1, 2]}, False),
        ({"a": None}, {"a": {}}, False),
    ],
)
def test_an_object_has_what_is_wanted(there, wanted, is_there):
    assert has(there, wanted) is is_there


def made(**spec):
    written = short().model_dump(mode="json", by_alias=True, exclude_defaults=True)
    asked = {"lockgate.dev/paused": "true"}
    metadata = {"name": "tiny", "namespace": "models", "generation": 3, "annotations": asked}
    return {"metadata": metadata, "spec": {**written, **spec}}


def test_a_model_rollout_is_read_with_its_generation_and_wishes():
    read = rollout_of(made())
    assert (read.model, read.namespace, read.generation) == ("tiny", "models", 3)
    assert read.spec == Spec.model_validate(made()["spec"])
    assert read.status == Status()
    assert read.wishes.paused


def test_a_model_rollout_that_is_not_understood_says_where():
    with pytest.raises(Unreadable, match=r"steps.*weights must rise") as caught:
        rollout_of(made(steps=[{"weight": 50}, {"weight": 10}]))
    assert "kubectl -n models edit modelrollout tiny" in caught.value.next_step


def test_after_an_error_the_status_says_again_what_it_said():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    past = Past(
        candidate="b" * 64, outcome="RolledBack", reason="Harm", message="too many errors", weight=5,
        started=now, ended=now,
    )  # fmt: skip
    failed = {"phase": "Error", "reason": "Unreachable", "message": "the API does not answer"}
    ended = Status(stage="rolledBack", stable="a" * 64, candidate="b" * 64, history=(past,), **failed)
    assert mended(ended).reason == "Harm"
    assert "too many errors" in mended(ended).message
    assert mended(Status(stable="a" * 64, **failed)).reason == "Serving"
    fine = Status(stable="a" * 64, phase="Idle", reason="Serving", message="it serves")
    assert mended(fine) == fine


class Noted:
    """An API server that keeps events."""

    def __init__(self) -> None:
        self.there: dict[str, dict[str, Any]] = {}

    def create(self, path: str, event: dict[str, Any]) -> None:
        name = f"{path}/{event['metadata']['name']}"
        if name in self.there:
            raise Taken(name)
        self.there[name] = event

    def patch(self, path: str, change: dict[str, Any]) -> None:
        self.there[path] |= change


def test_the_same_event_is_counted_and_what_is_remembered_of_events_is_bounded() -> None:
    api = Noted()
    events = Events(api)  # type: ignore[arg-type]
    about = {
        "apiVersion": "lockgate.dev/v1alpha1", "kind": "ModelRollout",
        "metadata": {"namespace": "models", "name": "tiny", "uid": "u", "resourceVersion": "1"},
    }  # fmt: skip
    for _ in range(3):
        events.tell(about, "Normal", "Advanced", "5 %")
    (event,) = api.there.values()
    assert event["count"] == 3
    for number in range(3000):
        events.tell(about, "Warning", "NoTraffic", f"none since look {number}")
    assert len(api.there) == 3001
    assert len(events._told) <= 1000
    events.tell(about, "Normal", "Advanced", "5 %")
    assert event["count"] == 2, "at least twice, as that much is known"
