"""The conditions of a ModelRollout's status, as Kubernetes' API conventions have them. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from lockgate.rollout.status import ACTIVE, JUDGED, Condition, Status


def conditions(
    before: Sequence[Condition], status: Status, generation: int, now: datetime
) -> tuple[Condition, ...]:
    """The conditions of a status; one that did not change keeps the time of its last change.

    Args:
        before: those of the status before.
        status: to describe.
        generation: of the object that was looked at.
        now: UTC.
    """
    known = {condition.type: condition for condition in before}

    def dated(kind: str, is_true: bool, reason: str, message: str) -> Condition:
        state = "True" if is_true else "False"
        old = known.get(kind)
        return Condition(
            type=kind,
            status="True" if is_true else "False",
            reason=reason,
            message=message,
            last_transition_time=old.last_transition_time if old and old.status == state else now,
            observed_generation=generation,
        )

    return tuple(dated(*each) for each in _all(status))


def _all(status: Status) -> Iterator[tuple[str, bool, str, str]]:
    share = 100 if status.candidate == status.stable else 100 - status.weight
    serving = f"{status.stable_revision} has {share} % of the traffic"
    yield (
        "Ready",
        bool(status.stable),
        "Serving" if status.stable else "Installing",
        (serving if status.stable else status.message),
    )
    is_active = status.stage in ACTIVE
    yield "Progressing", is_active and not status.is_held, status.reason or "Idle", status.message
    if status.stage in JUDGED:
        yield "Analysing", not status.is_held, status.reason, status.message
    is_settled = status.settled or is_active
    yield (
        "Settled",
        is_settled,
        "Settled" if is_settled else "Writing",
        (
            "the spec says how the last rollout ended"
            if is_settled
            else "it is still to be written down how the rollout ended"
        ),
    )
