"""All writes go through one gate: who has lost the lease, and who only tries, writes nothing."""

from collections.abc import Callable
from typing import Any, cast

from serving.controller.ports import Book, Counters, Fleet, Ports, Store, Traffic

# Everything else that a port can do counts as a write, so that none is forgotten.
READS = frozenset({"read", "recall", "look", "can_mirror", "pairs", "losses"})
Call = Callable[[], Any]
# Gets the name of a write and the call that would do it; what it returns is the result.
Gate = Callable[[str, Call], Any]


class Gated:
    """A port whose writes are handed to a gate.

    Args:
        port: any of `serving.controller.ports`.
        gate: of all its writes.
    """

    def __init__(self, port: Any, gate: Gate) -> None:
        self._port, self._gate = port, gate

    def __getattr__(self, name: str) -> Any:
        """The port's method; one that writes asks the gate first."""
        method = getattr(self._port, name)
        if name in READS:
            return method
        return lambda *given, **named: self._gate(name, lambda: method(*given, **named))


def gated(ports: Ports, gate: Gate) -> Ports:
    """The same ports, all of whose writes are handed to the gate."""
    return Ports(
        store=cast(Store, Gated(ports.store, gate)),
        book=cast(Book, Gated(ports.book, gate)),
        fleet=cast(Fleet, Gated(ports.fleet, gate)),
        traffic=cast(Traffic, Gated(ports.traffic, gate)),
        counters=cast(Counters, Gated(ports.counters, gate)),
    )
