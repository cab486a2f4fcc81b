"""What the world is to be for a status. Pure: no clock, no I/O.

Orders are computed anew at every look from what was written down, so a controller that dies before it has
carried them out, and begins again, gives the same ones.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from lockgate.records import Record
from lockgate.rollout.resource import ModelRevision, Spec
from lockgate.rollout.seen import Seen
from lockgate.rollout.status import ACTIVE, Status
from lockgate.shipping.names import revision_name


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


def orders(model: str, spec: Spec, status: Status, seen: Seen, now: datetime) -> Orders:
    """What must exist for this status."""
    candidate = spec.candidate if spec.candidate and spec.candidate.digest == status.candidate else None
    is_wanted = candidate is not None and (status.stage in ACTIVE or status.stage == "promoted")
    services = (spec.stable, *([candidate] if candidate is not None and is_wanted else ()))
    needed = kept(model, spec, status)
    done = tuple(
        name
        for name, since in sorted(status.retiring.items())
        if name not in needed
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


def kept(model: str, spec: Spec, status: Status) -> set[str]:
    """The names of the revisions that must stay."""
    digests = {spec.stable.digest, status.stable}
    if status.candidate and (status.stage in ACTIVE or status.stage == "promoted"):
        digests.add(status.candidate)
    return {revision_name(model, digest) for digest in digests if digest}


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
