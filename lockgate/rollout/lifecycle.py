"""From one state of a rollout to the next, and what the world is to be in each. Pure: no clock, no I/O.

`advance` says how the status changes by what was seen and decided; `orders` what must then exist. The
status is written before the orders are carried out, and both are computed anew at every look, so that a
controller that dies between any two writes, and begins again, comes to the same end.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from lockgate.records import Record
from lockgate.rollout.decide import Action, Code, Decision
from lockgate.rollout.resource import HISTORY, ModelRevision, Past, Rejected, Spec, Status, Wishes
from lockgate.shipping.names import REVISION_LABEL, revision_name

ACTIVE = frozenset({"preparing", "mirroring", "stepping", "soaking"})
JUDGED = frozenset({"mirroring", "stepping", "soaking"})
# A rollout that waits for these waits for somebody to do something.
HELD = frozenset({Code.NO_TRAFFIC, Code.NO_METRICS, Code.SOURCE_FAILING})


class Health(Record):
    """Whether a revision serves.

    `state`: absent (no InferenceService), starting, ready (every pod has predicted), or hopeless (waiting
    will not mend it); `reason` says why it is not ready; `ready_pods` are those that take requests.
    """

    state: Literal["absent", "starting", "ready", "hopeless"]
    reason: str = ""
    ready_pods: int = 0


class Seen(Record):
    """What was found: the spec's two revisions, all that exist, and the route's weights by revision.

    `routed` is None where there is no route. `can_mirror` says that the gateway can send copies.
    """

    stable: Health
    candidate: Health
    present: tuple[str, ...] = ()
    routed: Mapping[str, int] | None = None
    can_mirror: bool = False


class Orders(Record):
    """What is to be.

    `services` must exist, `delete` must not; `weights` of the route by revision (None: no route yet); copies
    of `mirror_percent` of the requests go to `mirror_to`. `settle` says what the book is to be told.
    """

    services: tuple[ModelRevision, ...]
    weights: Mapping[str, int] | None
    mirror_to: str = ""
    mirror_percent: int = 0
    settle: Literal["promote", "reject"] | None = None
    delete: tuple[str, ...] = ()


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
    return _shown(model, spec, _retired(model, spec, status, seen, now), seen.stable.ready_pods)


def placed(spec: Spec, status: Status) -> Status:
    """The status, its step that of its weight, where the spec's steps were changed under way."""
    if status.step < 0 or status.stage not in JUDGED:
        return status
    return status.model_copy(update={"step": spec.policy.step_of(status.weight)})


def orders(model: str, spec: Spec, status: Status, seen: Seen, now: datetime) -> Orders:
    """What must exist for this status."""
    candidate = spec.candidate if spec.candidate and spec.candidate.digest == status.candidate else None
    is_wanted = candidate is not None and (status.stage in ACTIVE or status.stage == "promoted")
    services = (spec.stable, *([candidate] if candidate is not None and is_wanted else ()))
    kept = _kept(model, spec, status)
    done = tuple(
        name
        for name, since in sorted(status.retiring.items())
        if name not in kept
        and (now - since).total_seconds() >= spec.analysis.drain_seconds
        and not (seen.routed or {}).get(name)
    )
    mirror_to = _mirror_to(model, spec, status, seen)
    return Orders(
        services=services,
        weights=weights(model, status),
        mirror_to=mirror_to,
        mirror_percent=spec.mirror.percent if mirror_to else 0,
        settle=_settle(spec, status),
        delete=done,
    )


def weights(model: str, status: Status) -> dict[str, int] | None:
    """The share of the traffic of each revision, in percent; None before the first one serves."""
    if not status.stable:
        return None
    serving = revision_name(model, status.stable)
    if not status.candidate or status.candidate == status.stable or status.stage not in {*ACTIVE, "promoted"}:
        return {serving: 100}
    shares = {serving: 100 - status.weight, revision_name(model, status.candidate): status.weight}
    # A route that names a Service which is not there yet is not accepted as a whole.
    return {name: share for name, share in shares.items() if share}


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
        status = _ended(status, "Withdrawn", "StableChanged", "the spec names another stable revision", now)
    why = f": {seen.stable.reason}" if seen.stable.reason else ""
    said = f"revision {wanted[:8]}, the spec's stable one, is being prepared{why}"
    return status.model_copy(
        update={"stage": "installing", "weight": 0, "reason": "Installing", "message": said, "is_held": False}
    )


def _idle(model: str, spec: Spec, status: Status, wishes: Wishes, now: datetime) -> Status:
    """Begins a rollout where the spec has a candidate that was not rejected."""
    candidate = spec.candidate
    is_done = status.stage != "promoted" or status.stable == status.candidate
    if candidate is None and not is_done and status.settled:
        # The book was told of the promotion, and the spec takes it back.
        said = "the spec names the revision before it as the stable one"
        return _ended(status, "Withdrawn", "StableChanged", said, now)
    if candidate is None or candidate.digest == status.stable:
        return status.model_copy(update={"settled": True}) if is_done else status
    rejected = status.rejected
    if rejected is not None and candidate.digest == rejected.digest and wishes.retry == rejected.retry:
        if status.stage == "rolledBack" and status.candidate == candidate.digest:
            return status
        said = f"revision {candidate.digest[:8]} was rolled back before: {rejected.message}"
        return status.model_copy(
            update={
                "candidate": candidate.digest,
                "stage": "rolledBack",
                "settled": False,
                "reason": rejected.reason,
                "message": said,
            }
        )
    if not is_done or spec.paused or wishes.paused:
        return status
    return _begun(model, candidate, status, now)


def _begun(model: str, candidate: ModelRevision, status: Status, now: datetime) -> Status:
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
        return _ended(status, "Withdrawn", "Withdrawn", "the spec no longer has the candidate", now)
    if candidate.digest != status.candidate:
        said = f"revision {revision_name(model, candidate.digest)} came before this rollout's end"
        # What goes for every candidate goes for this one: none begins that was rejected, or during a pause.
        return _idle(model, spec, _ended(status, "Superseded", "Superseded", said, now), wishes, now)
    if (why := _objection(model, spec, status, seen, wishes, decision, now)) is not None:
        return _back(status, wishes, *why, now)
    if means(wishes.promote, model, candidate.digest) and seen.candidate.state == "ready":
        return _promoted(status, "PromotedByHand", "it was promoted by hand", now)
    if spec.paused or wishes.paused:
        said = f"paused at {status.weight} %; the candidate is judged on, and the step's time stands still"
        return _waiting(status.model_copy(update={"since": now}), "Paused", said, is_held=True)
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
            return _waiting(status, "Preparing", said, is_held=False)
        is_mirrored = seen.can_mirror and spec.mirror.percent > 0
        return _mirrored(spec, status, now) if is_mirrored else _stepped(spec, status, "it is ready", now)
    return status if decision is None else _followed(spec, status, seen, decision, now)


def _followed(spec: Spec, status: Status, seen: Seen, decision: Decision, now: datetime) -> Status:
    """What the decision asks for, in a stage that is judged."""
    if decision.action is Action.HOLD:
        return _waiting(status, decision.code.value, decision.reason, is_held=decision.code in HELD)
    if seen.candidate.state != "ready":
        said = f"more requests come when all of its pods serve: {seen.candidate.reason}"
        return _waiting(status, "NotServing", said, is_held=False)
    if status.stage == "soaking":
        return _promoted(status, "Fine", decision.reason, now)
    return _stepped(spec, status, decision.reason, now)


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
    if not health.ready_pods:
        return "NotServing", f"none of its pods takes requests: {health.reason}"
    return None


def _passed(status: Status, now: datetime) -> float:
    """Seconds since the present stage or step began."""
    return (now - (status.since or now)).total_seconds()


def _longest(spec: Spec) -> float:
    """Seconds after which no stage or step still waits for its time or for evidence."""
    least = (spec.mirror.seconds, spec.analysis.soak_seconds, *(step.seconds for step in spec.steps))
    return max(spec.analysis.deadline_seconds, *least)


def _mirrored(spec: Spec, status: Status, now: datetime) -> Status:
    said = f"copies of {spec.mirror.percent} % of the requests go to the candidate; nobody gets its answers"
    return status.model_copy(
        update={"stage": "mirroring", "since": now, "reason": "Mirroring", "message": said, "is_held": False}
    )


def _stepped(spec: Spec, status: Status, why: str, now: datetime) -> Status:
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


def _promoted(status: Status, reason: str, why: str, now: datetime) -> Status:
    said = f"revision {status.candidate[:8]} is the stable one now: {why}"
    ended = status.model_copy(update={"weight": 100, "step": max(status.step, 0)})
    past = _past(ended, "Promoted", reason, why, now)
    return ended.model_copy(
        update={
            "stage": "promoted",
            "settled": False,
            "is_held": False,
            "since": now,
            "reason": reason,
            "message": said,
            "history": past,
            "rejected": None,
        }
    )


def _back(status: Status, wishes: Wishes, reason: str, why: str, now: datetime) -> Status:
    """Everything back to the stable revision; the candidate is not tried again by itself."""
    rejected = Rejected(digest=status.candidate, reason=reason, message=why, retry=wishes.retry)
    return _ended(status, "RolledBack", reason, why, now).model_copy(
        update={"rejected": rejected, "settled": False}
    )


def refused(status: Status, wishes: Wishes, why: str, now: datetime) -> Status:
    """The status after the cluster has refused the candidate's InferenceService."""
    return _back(status, wishes, "Refused", why, now)


def _ended(
    status: Status,
    outcome: Literal["RolledBack", "Superseded", "Withdrawn"],
    reason: str,
    why: str,
    now: datetime,
) -> Status:
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
            "history": _past(status, outcome, reason, why, now),
        }
    )


def _past(status: Status, outcome: Any, reason: str, message: str, now: datetime) -> tuple[Past, ...]:
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


def _waiting(status: Status, reason: str, message: str, *, is_held: bool) -> Status:
    return status.model_copy(update={"reason": reason, "message": message, "is_held": is_held})


def _retired(model: str, spec: Spec, status: Status, seen: Seen, now: datetime) -> Status:
    """Notes since when each revision that is not needed any more has had no traffic."""
    kept, routed = _kept(model, spec, status), seen.routed or {}
    idle = [name for name in seen.present if name not in kept]
    since = {name: now if routed.get(name) else status.retiring.get(name, now) for name in idle}
    return status.model_copy(update={"retiring": since})


def _kept(model: str, spec: Spec, status: Status) -> set[str]:
    """The names of the revisions that must stay."""
    kept = {spec.stable.digest, status.stable}
    if status.candidate and (status.stage in ACTIVE or status.stage == "promoted"):
        kept.add(status.candidate)
    return {revision_name(model, digest) for digest in kept if digest}


def _mirror_to(model: str, spec: Spec, status: Status, seen: Seen) -> str:
    """Who gets copies: the candidate before it has traffic; the stable when it has none any more."""
    if not seen.can_mirror or not spec.mirror.percent:
        return ""
    match status.stage:
        case "mirroring":
            return revision_name(model, status.candidate)
        case "soaking":
            return revision_name(model, status.stable)
        case _:
            return ""


def _settle(spec: Spec, status: Status) -> Literal["promote", "reject"] | None:
    """What the book is still to be told; it is told again until it has taken it (`Status.settled`)."""
    if status.settled:
        return None
    if status.stage == "promoted" and spec.stable.digest != status.candidate:
        return "promote"
    is_rejected = spec.candidate is not None and spec.candidate.digest == status.candidate
    return "reject" if status.stage == "rolledBack" and is_rejected else None


def means(wish: str, model: str, digest: str) -> bool:
    """Whether a wish names this candidate: by the revision's name, or at least eight digits of the digest."""
    digits = wish.removeprefix(f"{model}-")
    return len(digits) >= 8 and digest.startswith(digits)


def _shown(model: str, spec: Spec, status: Status, ready: int) -> Status:
    """The status with what people see of it."""
    phases: dict[str, Any] = {
        "": "Idle", "installing": "Preparing", "preparing": "Preparing", "mirroring": "Mirroring",
        "stepping": "Stepping", "soaking": "Soaking", "promoted": "Promoted", "rolledBack": "RolledBack",
    }  # fmt: skip
    named = {
        "stable_revision": revision_name(model, status.stable) if status.stable else "",
        "candidate_revision": revision_name(model, status.candidate) if status.candidate else "",
    }
    is_stepping = status.stage in {"stepping", "soaking"}
    return status.model_copy(
        update={
            "phase": "Holding" if status.is_held else phases[status.stage],
            "replicas": ready,
            "selector": f"{REVISION_LABEL}={named['stable_revision']}" if status.stable else "",
            "step_text": f"{status.step + 1}/{len(spec.steps)}" if is_stepping else "",
            **named,
        }
    )
