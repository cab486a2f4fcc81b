"""Whether a revision serves: by its Deployment's counts and its pods, not by KServe's word alone. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lockgate.errors import ServingError

SOURCE_ANNOTATION = "internal.serving.kserve.io/storage-initializer-sourceuri"
RESTARTS = 3
NO_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
STARTING = frozenset({"ContainerCreating", "PodInitializing"})
Object = Mapping[str, Any]


@dataclass(frozen=True)
class Readiness:
    """How far a revision is.

    `reason` says what is still missing, in a sentence; `is_hopeless`: waiting will not mend it.
    """

    is_ready: bool
    reason: str = ""
    is_hopeless: bool = False


def readiness(
    address: str, replicas: int, service: Object, deployment: Object | None, pods: Sequence[Object]
) -> Readiness:
    """Judges a revision from its objects.

    Args:
        address: of the model's folder, which its pods must hold.
        replicas: how many pods are wanted.
        service: its InferenceService as the server has it.
        deployment: its Deployment, None before KServe has made it.
        pods: those of the InferenceService.
    """
    living = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    if hopeless := next((fault for pod in living for fault in faults(pod) if fault.is_hopeless), None):
        return hopeless
    if deployment is None:
        return Readiness(False, _of_service(service))
    if missing := _missing(deployment, replicas):
        doubts = (fault.reason for pod in living for fault in faults(pod))
        return Readiness(False, next(doubts, "") or _of_deployment(deployment) or missing)
    strangers = [p for p in living if p["metadata"].get("annotations", {}).get(SOURCE_ANNOTATION) != address]
    if strangers:
        return Readiness(False, f"{len(strangers)} of {len(living)} pods hold another model")
    if len(living) < replicas:
        return Readiness(False, f"{len(living)} of {replicas} pods are there")
    return Readiness(True)


def _missing(deployment: Object, wanted: int) -> str:
    """What the Deployment's own counts lack; empty when they are all there."""
    status = deployment.get("status", {})
    if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
        return "its Deployment is not yet observed"
    if deployment["spec"].get("replicas") != wanted:
        return f"its Deployment wants {deployment['spec'].get('replicas')} pods, not {wanted}"
    for count in ("updatedReplicas", "readyReplicas", "availableReplicas", "replicas"):
        if (found := status.get(count, 0)) != wanted:
            return f"{found} of {wanted} pods are {count.removesuffix('Replicas')}"
    return ""


def _of_service(service: Object) -> str:
    """What KServe says, where it has made no Deployment."""
    status = service.get("status", {})
    failure = status.get("modelStatus", {}).get("lastFailureInfo", {}).get("message", "")
    said = [c["message"] for c in status.get("conditions", ()) if c.get("message")]
    return failure or next(iter(said), "") or "KServe has not made its Deployment yet"


def _of_deployment(deployment: Object) -> str:
    """Why no pod could be made: a quota, an admission policy."""
    conditions = deployment.get("status", {}).get("conditions", ())
    return next((c["message"] for c in conditions if c["type"] == "ReplicaFailure"), "")


def faults(pod: Object) -> Iterator[Readiness]:
    """What is wrong with a pod, in its own words: each container's last failure, its image, its place."""
    name, status = pod["metadata"]["name"], pod.get("status", {})
    for container in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        waiting = container.get("state", {}).get("waiting", {})
        if waiting.get("reason") in NO_IMAGE:
            said = waiting.get("message", waiting["reason"])
            yield Readiness(False, f"pod {name} has no image: {said}")
        ended = _ended(container)
        if ended is not None:
            again = container["restartCount"] >= RESTARTS or ended["exitCode"] == ServingError.exit_code
            yield Readiness(False, f"pod {name}: {_words(container['name'], ended)}", is_hopeless=again)
        elif waiting.get("reason") not in (None, "CrashLoopBackOff", *NO_IMAGE, *STARTING):
            yield Readiness(False, f"pod {name}: {waiting['reason']}: {waiting.get('message', '')}")
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield Readiness(False, f"pod {name} has no node: {condition.get('message', '')}")


def _ended(container: Object) -> Object | None:
    """How the container failed last, if it is not ready since."""
    if container.get("ready"):
        return None
    states = (container.get("state", {}).get("terminated"), container.get("lastState", {}).get("terminated"))
    return next((state for state in states if state and state.get("exitCode")), None)


def _words(container: str, ended: Object) -> str:
    if ended.get("reason") == "OOMKilled":
        return f"{container} needed more memory than its limit; raise serving.memory_mb"
    lines = [line.strip() for line in ended.get("message", "").splitlines() if line.strip()]
    said = " ".join(lines[-3:]) or "it wrote nothing"
    return f"{container} ended with exit code {ended['exitCode']}: {said}"
