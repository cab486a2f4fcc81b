"""The controller's ports on one machine: processes for pods, Envoy for the gateway, memory for Kubernetes."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from lockgate.rollout.record import Happening
from lockgate.rollout.resource import ModelRevision, Spec, Wishes
from lockgate.rollout.seen import Health
from lockgate.rollout.status import Status
from lockgate.shipping.names import revision_name
from serving.controller.ports import FleetSeen, Memory, PodsSeen, Rollout, RouteSeen, Side
from serving.laptop.proxy import Proxy
from serving.laptop.servers import Server

NAMESPACE = "laptop"


class Shelf:
    """Keeps one model's rollout in memory; is the book, too.

    Args:
        model: the model's name.
        spec: what is wanted.

    Attributes:
        happenings: every event, timed from the shelf's beginning.
    """

    def __init__(self, model: str, spec: Spec) -> None:
        self.model, self.spec = model, spec
        self.status = Status()
        self.wishes = Wishes()
        self.happenings: list[Happening] = []
        self.began = datetime.now(UTC)
        self._generation = 1
        self._memory: Memory | None = None

    def want(self, candidate: ModelRevision) -> None:
        """Asks for a rollout."""
        self.spec = self.spec.model_copy(update={"candidate": candidate})
        self._generation += 1

    def read(self) -> Rollout:
        """The rollout as it is now."""
        return Rollout(self.model, NAMESPACE, self._generation, self.spec, self.status, self.wishes)

    def write_status(self, _: Rollout, status: Status) -> None:
        """Keeps a status."""
        self.status = status

    def recall(self) -> Memory | None:
        """The memory that was kept last."""
        return self._memory

    def keep(self, memory: Memory) -> None:
        """Keeps the memory."""
        self._memory = memory

    def tell(self, kind: Literal["Normal", "Warning"], reason: str, sentence: str) -> None:
        """Keeps an event."""
        passed = (datetime.now(UTC) - self.began).total_seconds()
        self.happenings.append(Happening(seconds=passed, kind=kind, reason=reason, sentence=sentence))

    def settle(self, kind: Literal["promote", "reject"], _: Rollout, status: Status) -> str:
        """Makes the candidate the stable revision, or takes it out."""
        candidate = self.spec.candidate
        if candidate is not None and candidate.digest == status.candidate:
            stable = {"stable": candidate} if kind == "promote" else {}
            self.spec = self.spec.model_copy(update={"candidate": None, **stable})
            self._generation += 1
        return "the spec"


class Machine:
    """Model servers on this machine, behind one proxy; a context manager that ends all of them.

    Args:
        model: the model's name in URLs.
        proxy: that splits the requests.
        folder: gives the model folder of a revision.
    """

    def __init__(self, model: str, proxy: Proxy, folder: Callable[[ModelRevision], Path]) -> None:
        self._model, self._proxy, self._folder = model, proxy, folder
        self._servers: dict[str, tuple[Server, ExitStack]] = {}
        self._connected: dict[str, str] = {}

    def __enter__(self) -> Self:
        """Has no server yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends every server."""
        for _, stack in self._servers.values():
            stack.close()

    def servers(self, name: str) -> tuple[Server, ...]:
        """The servers of a revision."""
        return (self._servers[name][0],) if name in self._servers else ()

    def look(self, rollout: Rollout, *, is_probing: bool) -> FleetSeen:  # noqa: ARG002 - a server is probed when it starts
        """How the revisions' servers are."""
        spec = rollout.spec
        wanted: dict[Side, str] = {"stable": revision_name(self._model, spec.stable.digest)}
        if spec.candidate is not None:
            wanted["candidate"] = revision_name(self._model, spec.candidate.digest)
        health = {side: self._health(name) for side, name in wanted.items()}
        pods = {side: self._pods(name) for side, name in wanted.items()}
        return FleetSeen(
            stable=health["stable"],
            candidate=health.get("candidate", Health(state="absent")),
            present=tuple(sorted(self._servers)),
            pods=pods,
        )

    def ensure(self, _: Rollout, revision: ModelRevision) -> bool:
        """Starts the revision's server where there is none."""
        name = revision_name(self._model, revision.digest)
        if name in self._servers:
            return False
        stack = ExitStack()
        self._servers[name] = stack.enter_context(Server(self._folder(revision), self._model)), stack
        return True

    def delete(self, _: Rollout, name: str) -> None:
        """Ends a revision's server."""
        if self._connected.pop(name, None):
            self._proxy.disconnect(name)
        _, stack = self._servers.pop(name)
        stack.close()

    def _health(self, name: str) -> Health:
        for server in self.servers(name):
            if server.look():
                if self._connected.get(name) != server.address:
                    self._proxy.connect(name, server.address)
                    self._connected[name] = server.address
                return Health(state="ready", ready_pods=1)
            return Health(state="hopeless" if server.is_hopeless else "starting", reason=server.said)
        return Health(state="absent")

    def _pods(self, name: str) -> PodsSeen:
        servers = self.servers(name)
        return PodsSeen(
            restarts=sum(server.restarts for server in servers),
            said=next((server.said for server in servers if server.said), ""),
        )


class Split:
    """The proxy as what splits the requests."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    def can_mirror(self, _: Rollout) -> bool:
        """Envoy can."""
        return True

    def read(self, _: Rollout) -> RouteSeen | None:
        """The split in force; None before the first."""
        weights = self._proxy.route_in_force().weights
        return RouteSeen(weights) if weights else None

    def write(self, _: Rollout, weights: Mapping[str, int], mirror: tuple[str, int] | None) -> None:
        """Splits the requests so from now on; writes nothing where they are."""
        to, percent = mirror or (None, 0)
        now = self._proxy.route_in_force()
        if (dict(now.weights), now.mirror_to, now.mirror_percent) != (dict(weights), to, percent):
            self._proxy.route(weights, to, percent)
