"""What happened between two statuses, told as events: sentences with numbers. Pure."""

from collections.abc import Iterator
from typing import Literal

from lockgate.rollout.status import Status
from lockgate.shipping.names import revision_name

Event = tuple[Literal["Normal", "Warning"], str, str]


def story(model: str, before: Status, after: Status) -> Iterator[Event]:
    """The events from one status to the next: kind, reason, sentence; none where only numbers changed."""
    ended = after.history[: _new_entries(before, after)]
    for past in reversed(ended):
        kind: Literal["Normal", "Warning"] = "Normal" if past.outcome == "Promoted" else "Warning"
        name = revision_name(model, past.candidate)
        if past.outcome == "Promoted":
            yield (
                kind,
                "Promoted",
                f"{name} has all of the traffic and is the stable revision now: {past.message}",
            )
        else:
            yield (
                kind,
                past.outcome,
                f"{name} was taken back from {past.weight} % of the traffic: {past.message}",
            )
    if after.phase == "Error" and (before.phase, before.message) != (after.phase, after.message):
        yield "Warning", after.reason, after.message
    elif after.is_held and not before.is_held:
        yield "Warning", after.reason, f"held at {after.weight} %: {after.message}"
    elif before.is_held and not after.is_held and not ended:
        yield "Normal", "GoesOn", f"goes on at {after.weight} %: {after.message}"
    elif _place(before) != _place(after) and (not ended or after.stage == "preparing"):
        yield "Normal", after.reason, after.message


def _new_entries(before: Status, after: Status) -> int:
    if after.history == before.history:
        return 0
    known = before.history[0] if before.history else None
    return next((place for place, past in enumerate(after.history) if past == known), len(after.history))


def _place(status: Status) -> tuple[str, int, str]:
    return status.stage, status.step, status.candidate
