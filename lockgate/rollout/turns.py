"""The turns that a rollout can take, each as the status after it. Pure: no clock, no I/O."""

from datetime import datetime
from typing import Any, Literal

from lockgate.rollout.resource import ModelRevision, Spec, Wishes
from lockgate.rollout.status import HISTORY, Past, Rejected, Status
from lockgate.shipping.names import revision_name


def begun(model: str, candidate: ModelRevision, status: Status, now: datetime) -> Status:
    """A rollout begins: the candidate is prepared."""
    return status.model_copy(
        update={
            "candidate": candidate.digest,
            "stage": "preparing",
            "step": -1,
            "weight": 0,
            "started": now,
            "since": now,
            "settled": False,
            "is_held": False,
            "observed": "",
            "measurements": (),
            "reason": "Preparing",
            "message": f"revision {revision_name(model, candidate.digest)} is being prepared at full size",
        }
    )


def mirrored(spec: Spec, status: Status, now: datetime) -> Status:
    """The candidate gets copies of requests."""
    said = f"copies of {spec.mirror.percent} % of the requests go to the candidate; nobody gets its answers"
    return status.model_copy(
        update={"stage": "mirroring", "since": now, "reason": "Mirroring", "message": said, "is_held": False}
    )


def stepped(spec: Spec, status: Status, why: str, now: datetime) -> Status:
    """On the next step; at 100 % that is the soak."""
    # Not just the next place: the steps may have been changed under way.
    step, weight = next((n, s.weight) for n, s in enumerate(spec.steps) if s.weight > status.weight)
    return status.model_copy(
        update={
            "stage": "soaking" if weight == 100 else "stepping",
            "step": step,
            "weight": weight,
            "since": now,
            "is_held": False,
            "reason": "Advanced",
            "message": f"{weight} % of the requests go to the candidate, because {why}",
        }
    )


def promoted(status: Status, reason: str, why: str, now: datetime) -> Status:
    """All requests are the candidate's from now on."""
    said = f"revision {status.candidate[:8]} is the stable one now: {why}"
    at_all = status.model_copy(update={"weight": 100, "step": max(status.step, 0)})
    return at_all.model_copy(
        update={
            "stage": "promoted",
            "settled": False,
            "is_held": False,
            "since": now,
            "reason": reason,
            "message": said,
            "history": history(at_all, "Promoted", reason, why, now),
            "rejected": None,
        }
    )


def back(status: Status, wishes: Wishes, reason: str, why: str, now: datetime) -> Status:
    """Everything back to the stable revision; the candidate is not tried again by itself."""
    rejected = Rejected(digest=status.candidate, reason=reason, message=why, retry=wishes.retry)
    return ended(status, "RolledBack", reason, why, now).model_copy(
        update={"rejected": rejected, "settled": False}
    )


def refused(status: Status, wishes: Wishes, why: str, now: datetime) -> Status:
    """The status after the cluster has refused the candidate's InferenceService."""
    return back(status, wishes, "Refused", why, now)


def ended(
    status: Status,
    outcome: Literal["RolledBack", "Superseded", "Withdrawn"],
    reason: str,
    why: str,
    now: datetime,
) -> Status:
    """No request is the candidate's any more. Only a rollback is news to the spec, to be written down."""
    said = f"revision {status.candidate[:8]} was taken back at {status.weight} %: {why}"
    return status.model_copy(
        update={
            "stage": "rolledBack",
            "weight": 0,
            "since": now,
            "is_held": False,
            "settled": outcome != "RolledBack",
            "reason": reason,
            "message": said,
            "history": history(status, outcome, reason, why, now),
        }
    )


def history(status: Status, outcome: Any, reason: str, message: str, now: datetime) -> tuple[Past, ...]:
    """The last rollouts, this one first."""
    past = Past(
        candidate=status.candidate,
        outcome=outcome,
        reason=reason,
        message=message,
        weight=status.weight,
        started=status.started or now,
        ended=now,
    )
    return (past, *status.history)[:HISTORY]


def waiting(status: Status, reason: str, message: str, *, is_held: bool) -> Status:
    """The rollout stays where it is, for a reason."""
    return status.model_copy(update={"reason": reason, "message": message, "is_held": is_held})
