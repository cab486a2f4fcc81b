"""Whether a revision serves, and why not: from objects as a cluster has them, cut down to what counts."""

import copy

import pytest

from components.cluster.apply import Overtaken, _is_right_missing, refusal
from components.cluster.connection import Unreachable
from components.cluster.probe import addresses
from components.cluster.readiness import SOURCE_ANNOTATION, readiness
from lockgate.errors import DeliveryError
from tests.unit.revisions import revision

MADE = revision()
DEPLOYMENT = {
    "metadata": {"name": "flights-01234567-predictor", "generation": 3},
    "spec": {"replicas": 2},
    "status": {
        "observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2,
        "availableReplicas": 2, "conditions": [{"type": "Available", "status": "True", "message": "ok"}],
    },
}  # fmt: skip


def pod(name="p1", source=MADE.address, **container):
    ready = {"name": "kserve-container", "ready": True, "restartCount": 0, "state": {"running": {}}}
    return {
        "metadata": {"name": name, "annotations": {SOURCE_ANNOTATION: source}},
        "status": {"containerStatuses": [{**ready, **container}], "conditions": []},
    }


def deployment(**status):
    changed = copy.deepcopy(DEPLOYMENT)
    changed["status"] |= status
    return changed


def judged(deployment=DEPLOYMENT, pods=None, service=None):
    return readiness(
        MADE.address, MADE.replicas, service or {}, deployment, [pod(), pod("p2")] if pods is None else pods
    )


def ended(message="", code=1, reason="Error", restarts=0, **more):
    state = {"terminated": {"exitCode": code, "reason": reason, "message": message}}
    return pod(ready=False, restartCount=restarts, state=state, **more)


def test_all_pods_of_the_right_model_available_is_ready():
    assert judged().is_ready


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"observedGeneration": 2}, "not yet observed"),
        ({"readyReplicas": 1}, "1 of 2 pods are ready"),
        ({"updatedReplicas": 1}, "1 of 2 pods are updated"),
        ({"availableReplicas": 0}, "0 of 2 pods are available"),
        ({"replicas": 3}, "3 of 2 pods are replicas"),
    ],
)
def test_the_deployments_own_counts_decide(status, words):
    found = judged(deployment(**status))
    assert not found.is_ready
    assert words in found.reason


def test_a_deployment_of_another_size_is_not_ready():
    smaller = copy.deepcopy(DEPLOYMENT)
    smaller["spec"]["replicas"] = 1
    assert "wants 1 pods, not 2" in judged(smaller).reason


def test_pods_that_hold_another_model_do_not_count():
    found = judged(pods=[pod(), pod("p2", source="gs://elsewhere")])
    assert found.reason == "1 of 2 pods hold another model"


def test_pods_that_are_counted_and_gone_are_missing():
    assert judged(pods=[pod()]).reason == "1 of 2 pods are there"


def test_pods_that_are_leaving_do_not_count():
    leaving = pod("old", source="gs://elsewhere")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert judged(pods=[pod(), pod("p2"), leaving]).is_ready


def test_before_there_is_a_deployment_kserve_is_quoted():
    assert judged(None).reason == "KServe has not made its Deployment yet"
    status = {"modelStatus": {"lastFailureInfo": {"message": "Waiting for runtime to become available"}}}
    assert judged(None, service={"status": status}).reason == "Waiting for runtime to become available"


def test_a_model_that_the_server_refuses_is_hopeless_and_says_why():
    log = "noise\nThe content of /mnt/models was changed.\nIt is served as pushed.\nPush it again.\n"
    found = judged(deployment(readyReplicas=0), [ended(log, code=8)])
    assert found.is_hopeless
    assert found.reason == (
        "pod p1: kserve-container ended with exit code 8: The content of /mnt/models was changed. "
        "It is served as pushed. Push it again."
    )


def test_a_container_that_fails_otherwise_may_try_again_some_times():
    once = judged(deployment(readyReplicas=0), [ended("no route to host", restarts=1)])
    assert "no route to host" in once.reason
    assert not once.is_hopeless
    assert judged(deployment(readyReplicas=0), [ended("no route to host", restarts=3)]).is_hopeless


def test_a_container_that_recovered_is_not_held_against_the_pod():
    last = {"terminated": {"exitCode": 1, "message": "bad luck"}}
    assert judged(pods=[pod(restartCount=5, lastState=last), pod("p2")]).is_ready


def test_too_little_memory_is_said_as_what_it_is():
    found = judged(deployment(readyReplicas=0), [ended(code=137, reason="OOMKilled")])
    assert "raise serving.memory_mb" in found.reason


def test_an_image_that_cannot_be_had_is_named():
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image x"}}
    found = judged(deployment(readyReplicas=0), [pod(ready=False, state=waiting)])
    assert found.reason == "pod p1 has no image: Back-off pulling image x"
    assert not found.is_hopeless


def test_a_failing_download_is_the_init_containers():
    failing = pod(ready=False, state={"waiting": {"reason": "PodInitializing"}})
    state = {"waiting": {"reason": "CrashLoopBackOff"}}
    last = {"terminated": {"exitCode": 1, "message": "no objects under gs://b"}}
    failing["status"]["initContainerStatuses"] = [
        {"name": "storage-initializer", "ready": False, "restartCount": 3, "state": state, "lastState": last}
    ]
    found = judged(deployment(readyReplicas=0), [failing])
    assert found.is_hopeless
    assert "storage-initializer ended with exit code 1: no objects under gs://b" in found.reason


def test_a_pod_without_a_node_and_a_pod_that_is_not_made_say_why():
    unplaced = pod(ready=False, state={})
    unplaced["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "False", "message": "0/1 nodes: cpu"}
    ]
    assert "no node: 0/1 nodes: cpu" in judged(deployment(readyReplicas=0), [unplaced]).reason
    failure = [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}]
    assert judged(deployment(replicas=0, conditions=failure), []).reason == "exceeded quota"


def test_only_ready_endpoints_with_an_http_port_are_asked():
    ports = [{"name": "grpc", "port": 8081}, {"name": "http", "port": 8080}]
    slices = [
        {
            "ports": ports,
            "endpoints": [
                {"addresses": ["10.0.0.2"], "conditions": {"ready": True}},
                {"addresses": ["10.0.0.3"], "conditions": {"ready": False}},
            ],
        },
        {"ports": ports, "endpoints": [{"addresses": ["fd00::1"], "conditions": {"ready": True}}]},
        {"ports": None, "endpoints": None},
    ]
    assert addresses(slices) == ["http://10.0.0.2:8080", "http://[fd00::1]:8080"]


def test_a_conflict_names_who_holds_which_field():
    cause = {
        "reason": "FieldManagerConflict",
        "message": 'conflict with "kubectl-edit" using gateway.networking.k8s.io/v1',
        "field": ".spec.rules",
    }
    found = refusal(409, {"message": "Apply failed", "details": {"causes": [cause]}}, MADE.route)
    assert isinstance(found, DeliveryError)
    assert found.given == "HTTPRoute flights was changed by kubectl-edit: spec.rules."
    assert "--force-conflicts" in found.next_step


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        (403, {"message": "inferenceservices is forbidden"}, "role lockgate-push"),
        (404, {"message": "the server could not find the requested resource"}, "KServe must be installed"),
        (404, {"message": 'namespaces "x" not found', "details": {"kind": "namespaces"}}, 'namespaces "x"'),
        (400, {"message": "admission webhook denied the request: no"}, "denied the request: no"),
        (418, {}, "status 418"),
    ],
)
def test_what_the_server_refuses_is_said_with_what_to_do(code, status, words):
    found = refusal(code, status, MADE.service)
    assert isinstance(found, DeliveryError)
    assert words in str(found)


@pytest.mark.parametrize("code", [429, 500, 503])
def test_what_passes_is_tried_again(code):
    assert isinstance(refusal(code, {"message": "failed calling webhook"}, MADE.service), Unreachable)


def test_a_route_that_changed_since_it_was_read_is_told_from_other_conflicts():
    read = {**MADE.route, "metadata": {**MADE.route["metadata"], "resourceVersion": "7"}}
    said = {"message": "Operation cannot be fulfilled on httproutes: the object has been modified"}
    assert isinstance(refusal(409, said, read), Overtaken)
    assert not isinstance(refusal(409, said, MADE.route), Overtaken)


@pytest.mark.parametrize(
    ("message", "is_missing"),
    [
        ('inferenceservices "x" is forbidden: User "u" cannot patch resource "inferenceservices"', True),
        ('inferenceservices "x" is forbidden: exceeded quota: models, requested: count=1', False),
        ('inferenceservices "x" is forbidden: ValidatingAdmissionPolicy "p" denied request: no', False),
    ],
)
def test_a_missing_right_is_told_from_a_quota_and_a_policy(message, is_missing):
    assert _is_right_missing(403, {"message": message}) is is_missing
