"""What pods say of themselves, from their objects on the API server. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from lockgate.shipping.names import REVISION_LABEL
from serving.controller.ports import PodsSeen
from serving.controller.scrape import Server

CONTAINER = "kserve-container"
PORT = 8080
LAST_LINES = 3
Object = Mapping[str, Any]


def of_revision(pods: Iterable[Object], name: str) -> list[Object]:
    """The pods of a revision, those that are stopping among them."""
    return [pod for pod in pods if pod["metadata"].get("labels", {}).get(REVISION_LABEL) == name]


def is_leaving(pod: Object) -> bool:
    """Whether it was told to stop."""
    return "deletionTimestamp" in pod["metadata"]


def is_ready(pod: Object) -> bool:
    """Whether it takes requests."""
    return _condition(pod, "Ready").get("status") == "True"


def ready_since(pods: Iterable[Object]) -> datetime | None:
    """When the last of the ready pods became ready; None where none is."""
    times = [_condition(pod, "Ready")["lastTransitionTime"] for pod in pods if is_ready(pod)]
    return max(map(datetime.fromisoformat, times), default=None)


def seen(pods: Sequence[Object]) -> PodsSeen:
    """How often the containers of a revision's pods were started again, and why."""
    restarts, killed, said = 0, [], ""
    for pod in pods:
        for container in pod.get("status", {}).get("containerStatuses", ()):
            restarts += container.get("restartCount", 0)
            ended = [s for s in (_ended(container, "state"), _ended(container, "lastState")) if s]
            if any(state.get("reason") == "OOMKilled" for state in ended):
                killed.append(f"pod {pod['metadata']['name']}")
            words = next((words for state in ended if (words := _last_words(state))), "")
            said = said or words
    return PodsSeen(restarts=restarts, out_of_memory=tuple(killed), said=said)


def servers(pods: Iterable[Object], revision: str) -> list[Server]:
    """The servers in these pods, of those whose process runs; one that is not ready may be silent.

    Args:
        pods: of a revision.
        revision: the first digits of the digest that they must serve.
    """
    found = []
    for pod in pods:
        address = pod.get("status", {}).get("podIP", "")
        statuses = pod.get("status", {}).get("containerStatuses", ())
        status = next((c for c in statuses if c["name"] == CONTAINER), None)
        if not address or status is None or "running" not in status.get("state", {}):
            continue
        host = f"[{address}]" if ":" in address else address
        found.append(
            Server(
                # A container that was started again counts from nothing.
                identity=f"{pod['metadata']['uid']}/{status.get('containerID', '')[-12:]}",
                url=f"http://{host}:{PORT}",
                memory=_memory_limit(pod),
                revision=revision,
                is_leaving=is_leaving(pod) or not is_ready(pod),
            )
        )
    return found


def _memory_limit(pod: Object) -> float:
    from kubernetes.utils.quantity import parse_quantity  # type: ignore[import-untyped,unused-ignore]

    container: Object = next((c for c in pod["spec"]["containers"] if c["name"] == CONTAINER), {})
    limit = container.get("resources", {}).get("limits", {}).get("memory")
    return float(parse_quantity(limit)) if limit else 0.0


def _condition(pod: Object, kind: str) -> Object:
    conditions = pod.get("status", {}).get("conditions", ())
    return next((c for c in conditions if c["type"] == kind), {})


def _ended(container: Object, which: str) -> Object | None:
    found: Object | None = container.get(which, {}).get("terminated")
    return found


def _last_words(state: Object) -> str:
    if not state.get("exitCode"):
        return ""
    lines = [line.strip() for line in (state.get("message") or "").splitlines() if line.strip()]
    return f"exit code {state['exitCode']}: {' '.join(lines[-LAST_LINES:]) or state.get('reason', '')}"
