"""One look at one model: read, measure, decide, write the status, then make the world follow it.

Everything is computed anew from what is there, so a look that is cut off anywhere is made good by the next.
"""

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from lockgate.errors import DeliveryError, LockgateError
from lockgate.rollout.conditions import conditions
from lockgate.rollout.decide import Decision, decide
from lockgate.rollout.lifecycle import advance, placed
from lockgate.rollout.orders import Orders, orders
from lockgate.rollout.seen import Seen
from lockgate.rollout.status import ACTIVE, JUDGED, Status
from lockgate.rollout.story import story
from lockgate.rollout.turns import refused
from serving.controller.failpoints import writing
from serving.controller.measure import Look, look, rollout_id
from serving.controller.ports import Ports, Rollout

log = logging.getLogger("lockgate.controller")


@dataclass(frozen=True)
class Looked:
    """What a look came to: the status it ended with, and the decision if there was one to make."""

    rollout: Rollout
    status: Status
    decision: Decision | None
    look: Look


def tick(ports: Ports, now: datetime) -> Looked | None:
    """One look; None where there is no ModelRollout any more.

    Raises:
        ClusterError: something could not be read or written; the next look begins where this one ended.
        DeliveryError: the stable revision is refused, or the end of the rollout cannot be written down yet.
    """
    rollout = ports.store.read()
    if rollout is None:
        return None
    spec = rollout.spec.scaled(rollout.wishes.replicas)
    rollout = replace(rollout, spec=spec, status=placed(spec, rollout.status))
    is_probing = rollout.status.stage in ("installing", "preparing")
    fleet = ports.fleet.look(rollout, is_probing=is_probing)
    route = ports.traffic.read(rollout)
    seen = Seen(
        stable=fleet.stable,
        candidate=fleet.candidate,
        present=fleet.present,
        routed=route.weights if route is not None else None,
        can_mirror=rollout.spec.mirror.percent > 0 and ports.traffic.can_mirror(rollout),
    )
    found = look(rollout, ports.store.recall(), fleet, seen, ports.counters, now)
    decision = decide(rollout.spec.policy, found.evidence, now) if found.evidence is not None else None
    status = advance(rollout.model, rollout.spec, rollout.status, seen, rollout.wishes, decision, now)
    status = _measured(rollout, status, decision, found)
    if found.memory is not None and status.stage in JUDGED:
        with writing("memory"):
            ports.store.keep(found.memory)
    if route is not None and route.changed_by and rollout.status.written is not None:
        said = f"the route was changed by {route.changed_by}; it is put back"
        _tell(ports, "Warning", "RouteRepaired", said)
    status = _write(ports, rollout, rollout.status, status, now)
    status = _obey(ports, rollout, status, seen, now)
    return Looked(rollout, status, decision, found)


def _measured(rollout: Rollout, status: Status, decision: Decision | None, found: Look) -> Status:
    """The status with what was measured, if it still tells of that rollout, and of that weight."""
    if decision is None or found.memory is None or rollout_id(status) != rollout_id(rollout.status):
        return status
    split = found.memory.ledger.split
    observed = split.observed() if split.weight == status.weight else None
    text = "" if observed is None else f"{observed[0]:.1f} ({observed[1]:.1f} to {observed[2]:.1f})"
    return status.model_copy(update={"measurements": decision.readings, "observed": text})


def _write(ports: Ports, rollout: Rollout, before: Status, status: Status, now: datetime) -> Status:
    """Writes the status where it changed since `before`, and tells what happened."""
    status = status.model_copy(
        update={
            "observed_generation": rollout.generation,
            "conditions": conditions(before.conditions, status, rollout.generation, now),
        }
    )
    if status != before:
        with writing("status"):
            ports.store.write_status(rollout, status)
        for event in story(rollout.model, before, status):
            _tell(ports, *event)
    return status


def _tell(ports: Ports, kind: Literal["Normal", "Warning"], reason: str, sentence: str) -> None:
    with writing("event"):
        ports.store.tell(kind, reason, sentence)


def _obey(ports: Ports, rollout: Rollout, status: Status, seen: Seen, now: datetime) -> Status:
    """Carries out what the status asks for: revisions, then the route, then the book, then deletions."""
    wanted = orders(rollout.model, rollout.spec, status, seen, now)
    failure: LockgateError | None = None
    for revision in wanted.services:
        try:
            with writing("service"):
                ports.fleet.ensure(rollout, revision)
        except LockgateError as error:
            is_candidate = status.stage in ACTIVE and revision.digest == status.candidate
            if isinstance(error, DeliveryError) and is_candidate:
                taken_back = refused(status, rollout.wishes, str(error), now)
                status = _write(ports, rollout, status, taken_back, now)
                wanted = orders(rollout.model, rollout.spec, status, seen, now)
                break
            failure = error
    # The way back waits for nothing else.
    status = _route(ports, rollout, status, wanted, now)
    if failure is not None:
        raise failure
    if wanted.settle is not None:
        with writing("settle"):
            where = ports.book.settle(wanted.settle, rollout, status)
        status = _write(ports, rollout, status, status.model_copy(update={"settled": True}), now)
        _tell(ports, "Normal", "Settled", f"{where} now says how this rollout ended: {status.message}")
    for name in wanted.delete:
        with writing("delete"):
            ports.fleet.delete(rollout, name)
        _tell(ports, "Normal", "Retired", f"revision {name} has had no requests for a while and is deleted")
    return status


def _route(ports: Ports, rollout: Rollout, status: Status, wanted: Orders, now: datetime) -> Status:
    """Writes the route where it is not as wanted, and then notes that it was written."""
    if wanted.weights is None:
        return status
    mirror = (wanted.mirror_to, wanted.mirror_percent) if wanted.mirror_to else None
    with writing("route"):
        ports.traffic.write(rollout, wanted.weights, mirror)
    if status.written == status.weight:
        return status
    return _write(ports, rollout, status, status.model_copy(update={"written": status.weight}), now)
