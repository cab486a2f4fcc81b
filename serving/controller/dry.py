"""`--dry-run`: the same looks and the same judgement of what is there, and no write of any kind.

Where somebody else moves the traffic, this says what the controller would think of it. How far the rollout
is follows from the route alone; the evidence lives in this process.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from lockgate.rollout.status import Phase, Stage, Status
from lockgate.shipping.names import revision_name
from serving.controller.ports import FleetSeen, Memory, Ports, Rollout, RouteSeen, Store, Traffic
from serving.controller.writes import Call, gated

# Without requests for the candidate, with some, with all of them.
STAGES: tuple[tuple[Stage, Phase], ...] = (
    ("preparing", "Preparing"), ("stepping", "Stepping"), ("soaking", "Soaking"),
)  # fmt: skip
# What the loop takes for the answer of a write that was left out.
ANSWERS: dict[str, Any] = {"ensure": False, "settle": "nothing, as this is a dry run,"}


def dry(ports: Ports, clock: Callable[[], datetime]) -> Ports:
    """The same ports, none of which ever writes."""
    silent = gated(ports, left_out)
    fleet = Unprobed(silent.fleet)
    return replace(silent, store=DryStore(silent.store, silent.traffic, clock), fleet=fleet)


class DryStore:
    """The ModelRollout with the status that follows from the route, and a memory in this process.

    Args:
        store: where the ModelRollout is read.
        traffic: where the route is.
        clock: UTC.
    """

    def __init__(self, store: Store, traffic: Traffic, clock: Callable[[], datetime]) -> None:
        self._store, self._traffic, self._clock = store, traffic, clock
        self._status = Status()
        self._memory: Memory | None = None

    def read(self) -> Rollout | None:
        """The ModelRollout, as if its rollout were where the route says."""
        rollout = self._store.read()
        if rollout is None:
            return None
        self._status = assumed(rollout, self._traffic.read(rollout), self._status, self._clock())
        return replace(rollout, status=self._status)

    def write_status(self, rollout: Rollout, status: Status) -> None:
        """Keeps nothing: the next look assumes anew."""

    def recall(self) -> Memory | None:
        """The memory of this process."""
        return self._memory

    def keep(self, memory: Memory) -> None:
        """Keeps it in this process."""
        self._memory = memory

    def tell(self, kind: Literal["Normal", "Warning"], reason: str, sentence: str) -> None:
        """Tells nobody: nothing has happened."""


class Unprobed:
    """A fleet that is only looked at: probe predictions would be counted as requests.

    Args:
        fleet: whose writes are left out already.
    """

    def __init__(self, fleet: Any) -> None:
        self._fleet = fleet

    def look(self, rollout: Rollout, *, is_probing: bool) -> FleetSeen:  # noqa: ARG002
        """How the revisions are, by what the cluster says of them."""
        found: FleetSeen = self._fleet.look(rollout, is_probing=False)
        return found

    def __getattr__(self, name: str) -> Any:
        """Everything else is the fleet's."""
        return getattr(self._fleet, name)


def assumed(rollout: Rollout, route: RouteSeen | None, before: Status, now: datetime) -> Status:
    """The status of a rollout that is where the route says.

    Args:
        rollout: what is wanted.
        route: as it is.
        before: what was assumed at the last look.
        now: UTC.
    """
    spec = rollout.spec
    if route is None:
        return Status()
    stable, candidate = spec.stable.digest, spec.candidate.digest if spec.candidate else ""
    if not candidate or candidate == stable:
        return Status(stable=stable)
    weight = route.weights.get(revision_name(rollout.model, candidate), 0)
    is_same = (before.stable, before.candidate) == (stable, candidate)
    if is_same and before.weight == weight:
        return before
    step = spec.policy.step_of(weight) if weight else -1
    stage, phase = STAGES[0 if not weight else 2 if weight == 100 else 1]
    return Status(
        stage=stage,
        phase=phase,
        stable=stable,
        candidate=candidate,
        step=step,
        weight=weight,
        written=weight,
        started=before.started if is_same else now,
        since=now,
        settled=False,
    )


def left_out(name: str, _: Call) -> Any:
    """The gate of a dry run: nothing passes."""
    return ANSWERS.get(name)
