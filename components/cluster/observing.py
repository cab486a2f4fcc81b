"""What the pods of a training tell, and what follows from it: pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from components.cluster.verdict import Verdict
from components.cluster.work import NODE
from lockgate.training.exits import Action, Exit

INDEX_LABEL = "batch.kubernetes.io/job-completion-index"
ATTEMPT_LABEL = "jobset.sigs.k8s.io/restart-attempt"
OUT_OF_MEMORY = "OOMKilled"
LEAVING = "its pod is being deleted"


@dataclass(frozen=True)
class Worker:
    """One pod: which worker it is, whether its container has started, and how it ended.

    `attempt` counts JobSet's restarts before it; `waits` says why it has not started. A pod that is leaving
    is being deleted: for as long as its grace when its node is well, for ever when its node is gone.
    """

    name: str
    uid: str
    index: int
    created: str = ""
    attempt: int = 0
    has_started: bool = False
    is_leaving: bool = False
    code: int | None = None
    reason: str = ""
    waits: str = ""


def worker_of(pod: Mapping[str, Any]) -> Worker:
    """A worker from its pod, as the API gives it."""
    metadata, status = pod["metadata"], pod.get("status", {})
    states = [c.get("state", {}) for c in status.get("containerStatuses", []) if c["name"] == NODE]
    state: Mapping[str, Any] = states[0] if states else {}
    ended: Mapping[str, Any] = state.get("terminated") or {}
    return Worker(
        name=metadata["name"],
        uid=metadata["uid"],
        index=int(metadata["labels"].get(INDEX_LABEL, 0)),
        created=metadata.get("creationTimestamp", ""),
        attempt=int(metadata["labels"].get(ATTEMPT_LABEL, 0)),
        has_started=bool(ended or "running" in state or status.get("phase") in ("Succeeded", "Failed")),
        is_leaving="deletionTimestamp" in metadata,
        code=ended.get("exitCode"),
        reason=ended.get("reason") or status.get("reason") or "",
        waits=_why_waiting(status, state.get("waiting") or {}),
    )


def _why_waiting(status: Mapping[str, Any], waiting: Mapping[str, Any]) -> str:
    """The sentence of the scheduler, or that of the kubelet."""
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"{condition.get('reason', '')}: {condition.get('message', '')}"
    return ": ".join(part for part in (waiting.get("reason", ""), waiting.get("message", "")) if part)


@dataclass
class Sightings:
    """All pods seen so far: how often workers were started again, and which of them never were."""

    uids: dict[int, set[str]] = field(default_factory=dict)
    attempt: int = 0

    def see(self, workers: Sequence[Worker]) -> None:
        """Takes note of the pods that are there now."""
        for worker in workers:
            self.uids.setdefault(worker.index, set()).add(worker.uid)
            self.attempt = max(self.attempt, worker.attempt)

    @property
    def restarts(self) -> int:
        """How often the worker that was started most often was started again."""
        return max([self.attempt, *(len(uids) - 1 for uids in self.uids.values())])


def newest(workers: Sequence[Worker]) -> dict[int, Worker]:
    """The newest pod of every worker."""
    return {w.index: w for w in sorted(workers, key=lambda w: (w.attempt, w.created))}


def decide(
    verdict: Verdict, workers: Sequence[Worker], *, has_user_error: bool, restarts: int, max_restarts: int
) -> Action:
    """What to do, by what the cluster says of the job and of its pods.

    The user's own error counts first, as on a laptop: workers beside the failing one look as if a peer were
    lost. Exit code 137 alone is a killed container, which the cluster starts again; only with the kernel's
    reason it is a lack of memory, which would come back. RESTART means that the restarts are used up: as long
    as they are not, the cluster restarts the workers itself, and there is nothing to do but WAIT.
    """
    if has_user_error or any(w.code == Exit.USER_ERROR for w in workers):
        return Action.FAIL
    if any(w.reason == OUT_OF_MEMORY for w in workers):
        return Action.OUT_OF_MEMORY
    if verdict.is_complete:
        return Action.FINISH
    if verdict.is_failed or restarts > max_restarts:
        return Action.RESTART
    return Action.WAIT


def absent(workers: Sequence[Worker], count: int) -> dict[int, str]:
    """The workers that do not run or are to be replaced, by index, with what is known of the reason."""
    found = newest(workers)
    missing = [i for i in range(count) if i not in found or not found[i].has_started or found[i].is_leaving]
    return {i: _why_absent(found.get(i)) for i in missing}


def _why_absent(worker: Worker | None) -> str:
    if worker is None:
        return ""
    return LEAVING if worker.is_leaving else worker.waits
