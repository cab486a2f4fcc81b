"""A world in memory behind the controller's ports: revisions, a route, requests, a clock that tests move."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from lockgate.errors import DeliveryError
from lockgate.rollout.counts import Counts, Pair
from lockgate.rollout.policy import Analysis, Mirror, Step
from lockgate.rollout.resource import ModelRevision, Spec, Wishes
from lockgate.rollout.seen import Health
from lockgate.rollout.status import Status
from lockgate.shipping.names import revision_name
from serving.controller import loop
from serving.controller.ports import Counted, FleetSeen, Memory, PodsSeen, Ports, Rollout, RouteSeen

MODEL = "tiny"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS = (0.01, 0.05, 0.1)
BOUNDS = tuple(round(place / 10, 1) for place in range(1, 11))
RATE = 100  # requests a second


def revision(letter: str) -> ModelRevision:
    """A revision whose digest is one letter, sixty-four times."""
    return ModelRevision(digest=letter * 64, storage_uri=f"gs://b/models/{letter * 64}", replicas=1)


STABLE, CANDIDATE, THIRD = (revision_name(MODEL, letter * 64) for letter in "abc")


def short(**analysis: object) -> Spec:
    """A spec with short times, and a stable revision alone."""
    given = {
        "interval_seconds": 10, "deadline_seconds": 300, "soak_seconds": 20, "prepare_seconds": 100,
        "drain_seconds": 20, **analysis,
    }  # fmt: skip
    return Spec(
        host="tiny.test",
        stable=revision("a"),
        steps=tuple(Step(weight=w, seconds=20) for w in (5, 25, 50, 100)),
        mirror=Mirror(percent=0),
        analysis=Analysis.model_validate(given),
    )


@dataclass
class Behaviour:
    """How a revision acts: shares of failed and of slow requests, where its scores lie, its health.

    One that `is_short` of pods serves by the others.
    """

    errors: float = 0.0
    slow: float = 0.0
    score: float = 0.45
    health: str = "ready"
    is_short: bool = False
    restarts: int = 0
    out_of_memory: tuple[str, ...] = ()


@dataclass
class World:
    """Implements every port; `tick` lets `interval` seconds pass and the controller look."""

    spec: Spec
    rate: float = RATE
    status: Status = field(default_factory=Status)
    wishes: Wishes = field(default_factory=Wishes)
    memory: Memory | None = None
    generation: int = 1
    now: datetime = BEGIN
    present: dict[str, ModelRevision] = field(default_factory=dict)
    route: dict[str, int] | None = None
    mirror: tuple[str, int] | None = None
    mirrors: bool = False
    edited_by: str = ""
    obeys: bool = True
    counts: dict[str, Counts] = field(default_factory=dict)
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    source: str = "ok"
    pairs_alike: bool = True
    events: list[tuple[str, str, str]] = field(default_factory=list)
    refuses: str = ""
    refusal: Exception = field(default_factory=lambda: DeliveryError("The cluster refuses it."))

    @property
    def ports(self) -> Ports:
        return Ports(
            store=self, book=self, fleet=_Fleet(self), traffic=_Traffic(self), counters=_Counters(self)
        )

    def behaviour(self, name: str) -> Behaviour:
        return self.behaviours.setdefault(name, Behaviour())

    def tick(self, seconds: float = 10.0) -> loop.Looked | None:
        self.serve(seconds)
        self.now += timedelta(seconds=seconds)
        return loop.tick(self.ports, self.now)

    def until(self, condition: Callable[["World"], bool], looks: int = 200) -> "World":
        """Ticks until the condition holds; fails where it never does."""
        for _ in range(looks):
            self.tick()
            if condition(self):
                return self
        raise AssertionError(f"not reached: {self.status.phase} {self.status.message}")

    def begin(self) -> "World":
        """The stable revision serves, and the candidate is wanted."""
        self.until(lambda w: w.status.phase == "Idle")
        return self.want("b")

    def want(self, letter: str) -> "World":
        self.spec = self.spec.model_copy(update={"candidate": revision(letter)})
        self.generation += 1
        return self

    def serve(self, seconds: float) -> None:
        """What the requests of so many seconds add to the counts, split exactly as the route says."""
        for name, weight in (self.route or {}).items():
            self._count(name, round(self.rate * seconds * weight / 100))
        if self.mirror is not None:
            self._count(self.mirror[0], round(self.rate * seconds * self.mirror[1] / 100))

    def _count(self, name: str, requests: int) -> None:
        acts = self.behaviour(name)
        if not requests or name not in self.present or acts.health != "ready":
            return
        failed, late = round(requests * acts.errors), round(requests * acts.slow)
        below = round((requests - failed) * acts.score)
        scores = [0] * (len(BOUNDS) + 1)
        scores[2], scores[7] = below, requests - failed - below
        new = Counts(
            codes={"200": requests - failed, "500": failed},
            latency=(requests - late, 0, 0, late),
            latency_bounds=SECONDS,
            scores={"": tuple(scores)},
            score_bounds=BOUNDS,
        )
        self.counts[name] = self.counts.get(name, Counts()) + new

    # Store
    def read(self) -> Rollout | None:
        return Rollout(MODEL, "models", self.generation, self.spec, self.status, self.wishes)

    def write_status(self, rollout: Rollout, status: Status) -> None:
        # As Kubernetes keeps it: through JSON.
        self.status = Status.model_validate_json(status.model_dump_json(by_alias=True))

    def recall(self) -> Memory | None:
        return self.memory

    def keep(self, memory: Memory) -> None:
        self.memory = Memory.model_validate_json(memory.model_dump_json())

    def tell(self, kind: str, reason: str, sentence: str) -> None:
        self.events.append((kind, reason, sentence))

    # Book
    def settle(self, kind: str, rollout: Rollout, status: Status) -> str:
        candidate = self.spec.candidate
        if candidate is not None and candidate.digest == status.candidate:
            stable = {"stable": candidate} if kind == "promote" else {}
            self.spec = self.spec.model_copy(update={"candidate": None, **stable})
            self.generation += 1
        return "the spec"


@dataclass
class _Fleet:
    world: World

    def look(self, rollout: Rollout, *, is_probing: bool) -> FleetSeen:
        spec = rollout.spec
        return FleetSeen(
            stable=self._health(spec.stable),
            candidate=self._health(spec.candidate) if spec.candidate else Health(state="absent"),
            present=tuple(sorted(self.world.present)),
            pods={"stable": self._pods(spec.stable), "candidate": self._pods(spec.candidate)},
        )

    def _health(self, wanted: ModelRevision) -> Health:
        name = revision_name(MODEL, wanted.digest)
        if name not in self.world.present:
            return Health(state="absent")
        state = self.world.behaviour(name).health
        if self.world.behaviour(name).is_short:
            return Health(state="starting", reason="1 of 2 pods are ready", ready_pods=1)
        return Health(
            state=state, reason="" if state == "ready" else "it said so", ready_pods=state == "ready"
        )

    def _pods(self, wanted: ModelRevision | None) -> PodsSeen:
        acts = self.world.behaviour(revision_name(MODEL, wanted.digest)) if wanted else Behaviour()
        return PodsSeen(restarts=acts.restarts, out_of_memory=acts.out_of_memory)

    def ensure(self, rollout: Rollout, wanted: ModelRevision) -> bool:
        name = revision_name(MODEL, wanted.digest)
        if name == self.world.refuses:
            raise self.world.refusal
        is_new = self.world.present.get(name) != wanted
        self.world.present[name] = wanted
        return is_new

    def delete(self, rollout: Rollout, name: str) -> None:
        self.world.present.pop(name, None)
        self.world.counts.pop(name, None)


@dataclass
class _Traffic:
    world: World

    def can_mirror(self, rollout: Rollout) -> bool:
        return self.world.mirrors

    def read(self, rollout: Rollout) -> RouteSeen | None:
        if self.world.route is None:
            return None
        return RouteSeen(dict(self.world.route), self.world.edited_by)

    def write(self, rollout: Rollout, weights: Mapping[str, int], mirror: tuple[str, int] | None) -> None:
        if self.world.obeys:
            self.world.route, self.world.mirror, self.world.edited_by = dict(weights), mirror, ""


@dataclass
class _Counters:
    world: World

    def read(self, rollout: Rollout, names: Mapping[str, str]) -> dict[str, Counted]:
        if self.world.source == "failing":
            return {
                side: Counted(failures=("no answer in 3 s",), unread=(name,)) for side, name in names.items()
            }
        if self.world.source == "no_metrics":
            return {side: Counted(without=("it counts nothing",)) for side in names}
        return {side: Counted({name: self.world.counts.get(name, Counts())}) for side, name in names.items()}

    def pairs(self, rollout: Rollout, names: Mapping[str, str]) -> tuple[Pair, ...]:
        if self.world.mirror is None:
            return ()
        alike = self.world.pairs_alike
        return (Pair(difference=0.01 if alike else 0.4, is_alike=alike),) * 40

    def losses(self, rollout: Rollout, names: Mapping[str, str]) -> tuple[float, ...]:
        return ()
