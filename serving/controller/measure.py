"""From what the servers have counted to one more interval of evidence."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from lockgate.rollout.counts import Counts, Interval
from lockgate.rollout.evidence import Evidence, Source, Stage, begin, folded, rules
from lockgate.rollout.measures.infrastructure import Pods
from lockgate.rollout.seen import Seen
from lockgate.rollout.status import JUDGED, Status
from lockgate.shipping.names import revision_name
from serving.controller.ports import Counted, Counters, FleetSeen, Memory, PodsSeen, Rollout, Side

# A gateway has taken a new weight some seconds after it was written; until then the split proves nothing.
SETTLED = timedelta(seconds=5)
STAGES: dict[str, Stage] = {"mirroring": "mirroring", "stepping": "stepping", "soaking": "soaking"}


@dataclass(frozen=True)
class Look:
    """The evidence after a look (None: nothing is judged in this stage), and what to remember of it."""

    evidence: Evidence | None
    memory: Memory | None


def look(
    rollout: Rollout, memory: Memory | None, fleet: FleetSeen, seen: Seen, counters: Counters, now: datetime
) -> Look:
    """Reads all servers at once, and adds what they have counted since the last look to the evidence."""
    status = rollout.status
    is_ready = status.stage == "preparing" and fleet.candidate.state == "ready"
    if status.stage not in JUDGED and not is_ready:
        return Look(None, None)
    names: dict[Side, str] = {
        "stable": revision_name(rollout.model, status.stable),
        "candidate": revision_name(rollout.model, status.candidate),
    }
    counted = counters.read(rollout, names)
    known = rollout_id(status)
    is_of_now = memory is not None and memory.rollout == known
    if memory is None or not is_of_now or is_ready or memory.ledger.rules != rules(rollout.spec.policy):
        memory = _first(rollout, counted, fleet, now)
        if is_ready:
            return Look(None, memory)
        return Look(_evidence(rollout, memory, fleet, counted, True), memory)
    source = _source(counted)
    if source.state in ("failing", "no_metrics"):
        return Look(_evidence(rollout, memory, fleet, counted, False, source), memory)
    interval = _interval(rollout, memory, counted, seen, counters, names, now)
    memory = _remembered(rollout, memory, interval, counted, seen, now)
    has_traffic = interval.stable.requests + interval.candidate.requests > 0
    return Look(_evidence(rollout, memory, fleet, counted, has_traffic), memory)


def rollout_id(status: Status) -> str:
    """Tells one rollout from every other of the same model."""
    return f"{status.candidate}@{status.started.isoformat() if status.started else ''}"


def total(counted: Counted) -> Counts:
    """The counts of all of one side's servers."""
    return sum(counted.servers.values(), Counts())


def _first(rollout: Rollout, counted: Mapping[Side, Counted], fleet: FleetSeen, now: datetime) -> Memory:
    """No evidence yet: what has been counted until now is where it begins."""
    return Memory(
        rollout=rollout_id(rollout.status),
        ledger=begin(rollout.spec.policy, total(counted["stable"])),
        servers={name: counts for side in counted.values() for name, counts in side.servers.items()},
        unread=tuple(name for side in counted.values() for name in side.unread),
        looked=now,
        asked=now,
        restarts={side: pods.restarts for side, pods in fleet.pods.items()},
    )


def _interval(
    rollout: Rollout,
    memory: Memory,
    counted: Mapping[Side, Counted],
    seen: Seen,
    counters: Counters,
    names: Mapping[Side, str],
    now: datetime,
) -> Interval:
    status = rollout.status

    def grown(side: Side) -> Counts:
        # A server that was not there at the last look has begun since. One that could not be read then has
        # counted for longer than the others: an outage of before would be held against its side alone.
        new = (
            counts.since(memory.servers[name]) if name in memory.servers else counts
            for name, counts in counted[side].servers.items()
            if name not in memory.unread
        )
        return sum(new, Counts())

    candidate = grown("candidate")
    live_since = memory.live_since or (now if candidate.requests else None)
    read = {name for side in counted.values() for name in side.servers}
    is_unread = memory.unread or any(side.unread for side in counted.values())
    is_whole = not is_unread and memory.servers.keys() <= read
    is_steady = (
        status.stage == "stepping"
        and not rollout.spec.sticky_header
        and is_whole
        and not memory.is_disturbed
        and _is_as_wanted(rollout, seen)
        and status.since is not None
        and memory.looked >= status.since + SETTLED
    )
    return Interval(
        end=now,
        seconds=(now - memory.looked).total_seconds(),
        stable=grown("stable"),
        candidate=candidate,
        weight=status.weight,
        is_steady=is_steady,
        live_seconds=(now - live_since).total_seconds() if live_since else 0.0,
        pairs=counters.pairs(rollout, names),
        losses=counters.losses(rollout, names),
    )


def _remembered(
    rollout: Rollout,
    memory: Memory,
    interval: Interval,
    counted: Mapping[Side, Counted],
    seen: Seen,
    now: datetime,
) -> Memory:
    limit = rollout.spec.analysis.infrastructure.memory
    used = total(counted["candidate"]).memory
    return memory.model_copy(
        update={
            "ledger": folded(memory.ledger, interval, rollout.spec.policy),
            "servers": {name: counts for side in counted.values() for name, counts in side.servers.items()},
            "unread": tuple(name for side in counted.values() for name in side.unread),
            "looked": now,
            "asked": now if interval.stable.requests + interval.candidate.requests else memory.asked,
            "live_since": memory.live_since or (now if interval.candidate.requests else None),
            "is_disturbed": not _is_as_wanted(rollout, seen),
            "memory_looks": memory.memory_looks + 1 if used >= limit else 0,
        }
    )


def _is_as_wanted(rollout: Rollout, seen: Seen) -> bool:
    candidate = revision_name(rollout.model, rollout.status.candidate)
    return (seen.routed or {}).get(candidate, 0) == rollout.status.weight


def _evidence(
    rollout: Rollout,
    memory: Memory,
    fleet: FleetSeen,
    counted: Mapping[Side, Counted],
    has_traffic: bool,
    source: Source | None = None,
) -> Evidence:
    status = rollout.status
    if source is None:
        said = f"none since {memory.asked:%H:%M:%S} UTC" if not has_traffic else ""
        source = Source(state="ok" if has_traffic else "no_traffic", said=said)
    candidate = fleet.pods.get("candidate", PodsSeen())
    restarts = {side: pods.restarts - memory.restarts.get(side, 0) for side, pods in fleet.pods.items()}
    return Evidence(
        stage=STAGES.get(status.stage, "stepping"),
        step=status.step,
        since=status.since or memory.looked,
        ledger=memory.ledger,
        source=source,
        pods=Pods(
            restarts={side: max(0, count) for side, count in restarts.items()},
            out_of_memory=candidate.out_of_memory,
            memory=total(counted["candidate"]).memory,
            memory_looks=memory.memory_looks,
            said=candidate.said,
        ),
    )


def _source(counted: Mapping[Side, Counted]) -> Source:
    """Whether each side has a server that was read, and if not, why not."""
    for side, found in counted.items():
        if found.servers:
            continue
        if found.failures:
            return Source(state="failing", said=f"the {side}'s: {found.failures[0]}")
        said = found.without[0] if found.without else "it has no server"
        return Source(state="no_metrics", said=f"the {side}'s: {said}")
    return Source()
