"""A whole rollout on this machine: the controller's own loop, processes, a proxy, real requests."""

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lockgate.errors import ServingError
from lockgate.rollout.decide import harm
from lockgate.rollout.record import Moment, RolloutRecord
from lockgate.rollout.resource import ModelRevision, Spec
from lockgate.rollout.status import Status
from lockgate.shipping.names import revision_name
from serving.controller.loop import Looked, tick
from serving.controller.ports import Ports
from serving.laptop.counters import Labelled, counters
from serving.laptop.load import Counts, Load
from serving.laptop.ports import Machine, Shelf, Split
from serving.laptop.proxy import Proxy

# So long a rollout may take in all; its own deadlines end it before that.
LONGEST_SECONDS = 600.0
ENDS = ("Promoted", "RolledBack")


@dataclass(frozen=True)
class Requests:
    """What clients ask: JSON bodies in turn, so many a second; `labelled` knows what came true of them."""

    bodies: Sequence[bytes]
    rate: float
    labelled: Labelled | None = None


def lead(
    model: str,
    spec: Spec,
    candidate: ModelRevision,
    folder: Callable[[ModelRevision], Path],
    requests: Requests,
    watch: Callable[[Looked, RolloutRecord], None] = lambda *_: None,
) -> RolloutRecord:
    """Serves the stable revision, rolls the candidate out under the requests, and returns how it went.

    Args:
        model: the model's name.
        spec: with the stable revision and no candidate.
        candidate: the revision to roll out.
        folder: gives a revision's model folder.
        requests: that clients send meanwhile.
        watch: is shown every look, and the record so far.

    Raises:
        ServingError: the stable revision does not serve, or the rollout does not end.
    """
    with ExitStack() as stack:
        proxy = stack.enter_context(Proxy({}))
        machine = stack.enter_context(Machine(model, proxy, folder))
        shelf = Shelf(model, spec)
        counts = counters(machine, requests.labelled)
        ports = Ports(store=shelf, book=shelf, fleet=machine, traffic=Split(proxy), counters=counts)
        _until_served(ports, spec)
        url = f"{proxy.url}/v1/models/{model}:predict"
        load = stack.enter_context(Load(url, requests.bodies, requests.rate, seconds=LONGEST_SECONDS))
        shelf.want(candidate)
        record = _Recorder(shelf, candidate, load)
        pause = threading.Event()
        while not record.is_ended:
            if record.seconds > LONGEST_SECONDS:
                raise ServingError(
                    f"The rollout did not end in {LONGEST_SECONDS:g} s: {shelf.status.message}.",
                    "Its steps and deadlines must come to less.",
                    "Send more requests a second, where this machine can.",
                )
            looked = tick(ports, datetime.now(UTC))
            assert looked is not None
            record.add(looked)
            watch(looked, record.record())
            pause.wait(spec.analysis.interval_seconds)
    return record.record()


def _until_served(ports: Ports, spec: Spec) -> None:
    """Looks until the stable revision has the traffic."""
    began = datetime.now(UTC)
    pause = threading.Event()
    while True:
        looked = tick(ports, datetime.now(UTC))
        assert looked is not None
        if looked.status.phase == "Idle":
            return
        passed = (datetime.now(UTC) - began).total_seconds()
        if passed > spec.analysis.prepare_seconds or looked.look.evidence is not None:
            raise ServingError(
                f"The stable model does not serve after {passed:.0f} s: {looked.status.message}.",
                f"It has {spec.analysis.prepare_seconds:g} s.",
                "Serve it alone, by `lockgate serve`: it says more.",
            )
        pause.wait(0.2)


class _Recorder:
    """Notes every look."""

    def __init__(self, shelf: Shelf, candidate: ModelRevision, load: Load) -> None:
        self._shelf, self._load = shelf, load
        self._stable = revision_name(shelf.model, shelf.spec.stable.digest)
        self._candidate = revision_name(shelf.model, candidate.digest)
        self._spec = shelf.spec
        self._moments: list[Moment] = []
        shelf.began = datetime.now(UTC)
        shelf.happenings.clear()

    @property
    def seconds(self) -> float:
        """Since the rollout began."""
        return (datetime.now(UTC) - self._shelf.began).total_seconds()

    @property
    def is_ended(self) -> bool:
        """Whether the rollout is over, and one revision is left."""
        status = self._shelf.status
        has_ended = status.phase in ENDS and status.settled and bool(status.history)
        # Only a look after the promotion finds that the stable revision of before is needed no more.
        is_followed = status.phase != "Promoted" or status.stable == status.candidate
        return has_ended and is_followed and not status.retiring

    def add(self, looked: Looked) -> None:
        """Notes a look."""
        status, evidence = looked.status, looked.look.evidence
        ledger = evidence.ledger if evidence is not None else None
        # What was counted until now is of the weight before, where this look has changed it.
        is_same = ledger is not None and ledger.split.weight == status.weight
        readings = looked.decision.readings if looked.decision is not None else ()
        self._moments.append(
            Moment(
                seconds=self.seconds,
                phase=status.phase,
                step=status.step_text,
                weight=self._share(status),
                observed=ledger.split.observed() if ledger is not None and is_same else None,
                requests=self._answered(),
                against={r.measure: r.against for r in readings},
                in_favour={r.measure: r.for_it for r in readings if r.for_it is not None},
                total=harm(self._spec.policy, ledger)[0] if ledger is not None else 0.0,
                message=status.message,
            )
        )

    def record(self) -> RolloutRecord:
        """The rollout until now."""
        status, policy, counts = self._shelf.status, self._spec.policy, self._load.counts
        past = status.history[0] if status.history else None
        return RolloutRecord(
            model=self._shelf.model,
            stable=self._stable,
            candidate=self._candidate,
            began=self._shelf.began,
            outcome=past.outcome if past else "",
            reason=past.reason if past else status.reason,
            message=past.message if past else status.message,
            alpha=policy.analysis.alpha,
            power=policy.analysis.power,
            weights=policy.carried,
            moments=tuple(self._moments),
            happenings=tuple(self._shelf.happenings),
            readings=status.measurements,
            sent=counts.sent,
            failed=counts.failed,
            failed_stable=_failed_of(counts, self._stable),
        )

    def _answered(self) -> dict[str, int]:
        """Live answers of each revision so far, as the clients have counted them."""
        counts = self._load.counts
        names = (self._stable, self._candidate)
        return {name: counts.by_revision(name.rsplit("-", 1)[-1]).total() for name in names}

    @staticmethod
    def _share(status: Status) -> int:
        """The candidate's wanted share, also after it has become the stable revision."""
        return 100 if status.stage == "promoted" else status.weight


def _failed_of(counts: Counts, revision: str) -> int:
    """How many answers of a revision were failures."""
    digits = revision.rsplit("-", 1)[-1]
    return sum(n for code, n in counts.by_revision(digits).items() if not code.isdigit() or int(code) >= 400)
