"""What the controller reads and writes: ports, with a version each for clusters and for laptops."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from lockgate.records import Record
from lockgate.rollout.counts import Counts, Pair
from lockgate.rollout.evidence import Ledger
from lockgate.rollout.resource import ModelRevision, Spec, Wishes
from lockgate.rollout.seen import Health
from lockgate.rollout.status import Status

Side = Literal["stable", "candidate"]


@dataclass(frozen=True)
class Rollout:
    """A ModelRollout as it was read. `generation` counts the changes of its spec."""

    model: str
    namespace: str
    generation: int
    spec: Spec
    status: Status
    wishes: Wishes = field(default_factory=Wishes)


class Memory(Record):
    """What the controller must remember from look to look, beside the status: the evidence and where it ends.

    `rollout` names the rollout that it belongs to; `servers` holds what each server had counted at the last
    look, by its id, and `restarts` how often each side's pods had been started again when the rollout began.
    `unread` are servers that could not be read then: what they have counted until they are read belongs to
    no interval. `looked` is the time of the last look, `asked` that of the last one that found requests,
    `live_since` when the candidate had its first. `is_disturbed` says that the route was not as wanted at the
    last look.
    """

    rollout: str
    ledger: Ledger
    servers: Mapping[str, Counts]
    looked: datetime
    asked: datetime
    restarts: Mapping[str, int] = {}
    unread: tuple[str, ...] = ()
    live_since: datetime | None = None
    is_disturbed: bool = False
    memory_looks: int = 0


@dataclass(frozen=True)
class PodsSeen:
    """One side's pods: how often they were started again, those killed for want of memory, last words."""

    restarts: int = 0
    out_of_memory: tuple[str, ...] = ()
    said: str = ""


@dataclass(frozen=True)
class FleetSeen:
    """The spec's two revisions and their pods, and the names of all of the model's revisions that exist."""

    stable: Health
    candidate: Health
    present: tuple[str, ...] = ()
    pods: Mapping[Side, PodsSeen] = field(default_factory=dict)


@dataclass(frozen=True)
class RouteSeen:
    """A model's route: weights by revision, and who changed it since it was last written (empty: nobody)."""

    weights: Mapping[str, int]
    changed_by: str = ""


@dataclass(frozen=True)
class Counted:
    """What one side's servers have counted since they began, by server; sentences on those that said nothing.

    `failures`: servers that could not be read; `without`: servers that have none of Lockgate's metrics.
    `unread` are the ids of all servers that are there and gave no counts, for whatever reason.
    """

    servers: Mapping[str, Counts] = field(default_factory=dict)
    failures: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


class Store(Protocol):
    """Keeps the ModelRollout, and the controller's memory of it. All raise ClusterError."""

    def read(self) -> Rollout | None:
        """The ModelRollout as it is now; None when there is none any more."""

    def write_status(self, rollout: Rollout, status: Status) -> None:
        """Writes the status of what was read."""

    def recall(self) -> Memory | None:
        """The memory that was kept last."""

    def keep(self, memory: Memory) -> None:
        """Keeps the memory."""

    def tell(self, kind: Literal["Normal", "Warning"], reason: str, sentence: str) -> None:
        """An event for people to read; one that cannot be told is logged, and stops nothing."""


class Book(Protocol):
    """Where it is written down which revision is the stable one: the spec itself, or Git."""

    def settle(self, kind: Literal["promote", "reject"], rollout: Rollout, status: Status) -> str:
        """Makes the candidate the stable revision there, or takes it out; returns where, as a phrase.

        Doing it twice changes nothing.

        Raises:
            DeliveryError: it cannot be written now.
        """


class Fleet(Protocol):
    """The revisions and their pods."""

    def look(self, rollout: Rollout, *, is_probing: bool) -> FleetSeen:
        """How the spec's revisions are; `is_probing` asks every pod of those that have no requests yet."""

    def ensure(self, rollout: Rollout, revision: ModelRevision) -> bool:
        """Makes the revision exist as given; returns whether that changed anything.

        Raises:
            DeliveryError: it is refused, and asking again will not help.
        """

    def delete(self, rollout: Rollout, name: str) -> None:
        """Takes a revision away, its pods after what they have begun."""


class Traffic(Protocol):
    """What splits the requests among the revisions."""

    def can_mirror(self, rollout: Rollout) -> bool:
        """Whether copies of requests can be sent."""

    def read(self, rollout: Rollout) -> RouteSeen | None:
        """How requests are split now; None where there is no route."""

    def write(self, rollout: Rollout, weights: Mapping[str, int], mirror: tuple[str, int] | None) -> None:
        """Splits them so from now on, in one write; whoever has changed the route is overruled."""


class Counters(Protocol):
    """What the revisions' servers have counted; read at the same moment from all of them."""

    def read(self, rollout: Rollout, names: Mapping[Side, str]) -> Mapping[Side, Counted]:
        """Counts by side; `names` are the revisions. Never raises for a server that does not answer."""

    def pairs(self, rollout: Rollout, names: Mapping[Side, str]) -> tuple[Pair, ...]:
        """Requests that both sides have answered, which were not told of before."""

    def losses(self, rollout: Rollout, names: Mapping[Side, str]) -> tuple[float, ...]:
        """Candidate's loss minus the stable's on labelled requests which were not told of before."""


@dataclass(frozen=True)
class Ports:
    """All of them, for one model."""

    store: Store
    book: Book
    fleet: Fleet
    traffic: Traffic
    counters: Counters
