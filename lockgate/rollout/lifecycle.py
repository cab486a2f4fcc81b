"""From one state of a rollout to the next. Pure: no clock, no I/O.

`advance` says how the status changes by what was seen and decided; `lockgate.rollout.orders` what must then
exist. The status is written before the orders are carried out, and both are computed anew at every look, so
that a controller that dies between any two writes, and begins again, comes to the same end.
"""

from datetime import datetime

from lockgate.rollout.decide import Action, Code, Decision
from lockgate.rollout.orders import kept
from lockgate.rollout.resource import Spec, Wishes
from lockgate.rollout.seen import Seen
from lockgate.rollout.status import ACTIVE, JUDGED, Status
from lockgate.rollout.table import shown
from lockgate.rollout.turns import back, begun, ended, mirrored, promoted, stepped, waiting
from lockgate.shipping.names import revision_name

# A rollout that waits for these waits for somebody to do something.
HELD = frozenset({Code.NO_TRAFFIC, Code.NO_METRICS, Code.SOURCE_FAILING})


def advance(
    model: str,
    spec: Spec,
    status: Status,
    seen: Seen,
    wishes: Wishes,
    decision: Decision | None,
    now: datetime,
) -> Status:
    """The status after a look.

    Args:
        model: its name.
        spec: what is wanted.
        status: as it was.
        seen: what was found.
        wishes: by annotation.
        decision: on the candidate, in the stages that are judged; None where there was nothing to judge.
        now: UTC.
    """
    status = _with_stable(spec, status, seen, now)
    if status.stage in ACTIVE:
        status = _active(model, spec, status, seen, wishes, decision, now)
    elif status.stage != "installing":
        status = _idle(model, spec, status, wishes, now)
    return shown(model, spec, _retired(model, spec, status, seen, now), seen.stable.ready_pods)


def placed(spec: Spec, status: Status) -> Status:
    """The status, its step that of its weight, where the spec's steps were changed under way."""
    if status.step < 0 or status.stage not in JUDGED:
        return status
    return status.model_copy(update={"step": spec.policy.step_of(status.weight)})


def _with_stable(spec: Spec, status: Status, seen: Seen, now: datetime) -> Status:
    """Follows the spec's stable revision: installs the first, takes a promoted one over, or another one."""
    wanted = spec.stable.digest
    if status.stage == "installing" and seen.stable.state == "ready":
        said = f"revision {wanted[:8]} serves {spec.host} with all of the traffic"
        return status.model_copy(
            update={"stable": wanted, "stage": "", "reason": "Serving", "message": said, "candidate": ""}
        )
    if wanted == status.stable and status.stage != "installing":
        return status
    if status.stage == "promoted" and wanted == status.candidate:
        return status.model_copy(update={"stable": wanted, "settled": True})
    if status.stage in ACTIVE:
        status = ended(status, "Withdrawn", "StableChanged", "the spec names another stable revision", now)
    why = f": {seen.stable.reason}" if seen.stable.reason else ""
    said = f"revision {wanted[:8]}, the spec's stable one, is being prepared{why}"
    return status.model_copy(
        update={"stage": "installing", "weight": 0, "reason": "Installing", "message": said, "is_held": False}
    )


def _idle(model: str, spec: Spec, status: Status, wishes: Wishes, now: datetime) -> Status:
    """Begins a rollout where the spec has a candidate that was not rejected."""
    candidate, rejected = spec.candidate, status.rejected
    if rejected is not None and (candidate is None or candidate.digest != rejected.digest):
        rejected = rejected.model_copy(update={"is_out": True})
        status = status.model_copy(update={"rejected": rejected})
    is_done = status.stage != "promoted" or status.stable == status.candidate
    if candidate is None and not is_done and status.settled:
        # The book was told of the promotion, and the spec takes it back.
        said = "the spec names the revision before it as the stable one"
        return ended(status, "Withdrawn", "StableChanged", said, now)
    if candidate is None or candidate.digest == status.stable:
        return status.model_copy(update={"settled": True}) if is_done else status
    if rejected is not None and candidate.digest == rejected.digest and wishes.retry == rejected.retry:
        if status.stage == "rolledBack" and status.candidate == candidate.digest and not rejected.is_out:
            return status
        said = f"revision {candidate.digest[:8]} was rolled back before: {rejected.message}"
        return status.model_copy(
            update={
                "candidate": candidate.digest,
                "stage": "rolledBack",
                "settled": False,
                "rejected": rejected.model_copy(update={"is_out": False}),
                "reason": rejected.reason,
                "message": said,
            }
        )
    if not is_done or spec.paused or wishes.paused:
        return status
    return begun(model, candidate, status, now)


def _active(
    model: str,
    spec: Spec,
    status: Status,
    seen: Seen,
    wishes: Wishes,
    decision: Decision | None,
    now: datetime,
) -> Status:
    candidate = spec.candidate
    if candidate is None or candidate.digest == status.stable:
        return ended(status, "Withdrawn", "Withdrawn", "the spec no longer has the candidate", now)
    if candidate.digest != status.candidate:
        said = f"revision {revision_name(model, candidate.digest)} came before this rollout's end"
        # What goes for every candidate goes for this one: none begins that was rejected, or during a pause.
        return _idle(model, spec, ended(status, "Superseded", "Superseded", said, now), wishes, now)
    if (why := _objection(model, spec, status, seen, wishes, decision, now)) is not None:
        return back(status, wishes, *why, now)
    if means(wishes.promote, model, candidate.digest) and seen.candidate.state == "ready":
        return promoted(status, "PromotedByHand", "it was promoted by hand", now)
    if spec.paused or wishes.paused:
        said = f"paused at {status.weight} %; the candidate is judged on, and the step's time stands still"
        return waiting(status.model_copy(update={"since": now}), "Paused", said, is_held=True)
    return _led(model, spec, status, seen, decision, now)


def _objection(
    model: str,
    spec: Spec,
    status: Status,
    seen: Seen,
    wishes: Wishes,
    decision: Decision | None,
    now: datetime,
) -> tuple[str, str] | None:
    """Why the candidate must go back, as a word and a sentence; None where nothing speaks against it."""
    if means(wishes.abort, model, status.candidate):
        return "Aborted", "it was aborted by hand"
    if decision is not None and decision.action is Action.ROLL_BACK:
        return decision.code.value, decision.reason
    if decision is not None and decision.action is Action.ADVANCE and seen.candidate.state == "starting":
        passed = _passed(status, now)
        if passed >= _longest(spec) + spec.analysis.prepare_seconds:
            return "NotReady", f"not all of its pods were ready after {passed:.0f} s: {seen.candidate.reason}"
    return _fault(spec, status, seen, now)


def _led(
    model: str, spec: Spec, status: Status, seen: Seen, decision: Decision | None, now: datetime
) -> Status:
    """On to the next stage or step, or not yet."""
    if status.stage == "preparing":
        if seen.candidate.state != "ready":
            name = revision_name(model, status.candidate)
            said = f"revision {name} is not ready: {seen.candidate.reason}"
            return waiting(status, "Preparing", said, is_held=False)
        is_mirrored = seen.can_mirror and spec.mirror.percent > 0
        return mirrored(spec, status, now) if is_mirrored else stepped(spec, status, "it is ready", now)
    return status if decision is None else _followed(spec, status, seen, decision, now)


def _followed(spec: Spec, status: Status, seen: Seen, decision: Decision, now: datetime) -> Status:
    """What the decision asks for, in a stage that is judged."""
    if decision.action is Action.HOLD:
        return waiting(status, decision.code.value, decision.reason, is_held=decision.code in HELD)
    if seen.candidate.state != "ready":
        said = f"more requests come when all of its pods serve: {seen.candidate.reason}"
        return waiting(status, "NotServing", said, is_held=False)
    if status.stage == "soaking":
        return promoted(status, "Fine", decision.reason, now)
    return stepped(spec, status, decision.reason, now)


def _fault(spec: Spec, status: Status, seen: Seen, now: datetime) -> tuple[str, str] | None:
    """Why the candidate cannot serve, as a word and a sentence; None where it can, or may yet."""
    health = seen.candidate
    if health.state == "hopeless":
        return "NotServing", f"it does not serve, and waiting will not mend it: {health.reason}"
    if status.stage == "preparing":
        passed = _passed(status, now)
        if health.state != "ready" and passed >= spec.analysis.prepare_seconds:
            return "NotReady", f"it was not ready after {passed:.0f} s: {health.reason}"
        return None
    if health.state == "absent":
        return "CandidateGone", "somebody deleted its InferenceService"
    # Where the stable has none either, the cause is another, and nothing is gained by going back. What is
    # ready comes behind its Service in a moment.
    if not health.ready_pods and health.state != "ready" and seen.stable.ready_pods:
        return "NotServing", f"none of its pods takes requests: {health.reason}"
    return None


def _passed(status: Status, now: datetime) -> float:
    """Seconds since the present stage or step began."""
    return (now - (status.since or now)).total_seconds()


def _longest(spec: Spec) -> float:
    """Seconds after which no stage or step still waits for its time or for evidence."""
    least = (spec.mirror.seconds, spec.analysis.soak_seconds, *(step.seconds for step in spec.steps))
    return max(spec.analysis.deadline_seconds, *least)


def _retired(model: str, spec: Spec, status: Status, seen: Seen, now: datetime) -> Status:
    """Notes since when each revision that is not needed any more has had no traffic."""
    needed, routed = kept(model, spec, status), seen.routed or {}
    idle = [name for name in seen.present if name not in needed]
    since = {name: now if routed.get(name) else status.retiring.get(name, now) for name in idle}
    return status.model_copy(update={"retiring": since})


def means(wish: str, model: str, digest: str) -> bool:
    """Whether a wish names this candidate: by the revision's name, or at least eight digits of the digest."""
    digits = wish.removeprefix(f"{model}-")
    return len(digits) >= 8 and digest.startswith(digits)
