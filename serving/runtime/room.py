"""How much of requests' bodies the server holds at once, over HTTP and gRPC together."""

from serving.runtime.batcher import Overloaded
from serving.runtime.metrics import Metrics

# Reading a body of some hundred rows takes as long as a call of the model: longer ones are read in a thread.
LARGE_BYTES = 1 << 16
# Bodies that may be on their way at once, in multiples of the largest allowed one.
BODIES = 4


class Room:
    """The bytes of bodies that the server may hold for all requests.

    Args:
        max_bytes: of one body.
        metrics: is told of what was refused.
    """

    def __init__(self, max_bytes: int, metrics: Metrics) -> None:
        self.bytes = 0
        self._most = BODIES * max_bytes
        self._metrics = metrics

    def check(self) -> None:
        """Refuses a large body while the server holds as many as it may.

        Raises:
            Overloaded: try again in a second.
        """
        if self.bytes > self._most:
            self._metrics.refused["overloaded"] += 1
            raise Overloaded


class Held:
    """The bytes that one request holds of that room."""

    def __init__(self, room: Room) -> None:
        self.bytes = 0
        self._room = room

    def add(self, count: int) -> None:
        """Counts more bytes; small requests always have room.

        Raises:
            Overloaded: there is no room.
        """
        self.bytes += count
        self._room.bytes += count
        if self.bytes > LARGE_BYTES:
            self._room.check()

    def release(self) -> None:
        """Counts them no longer."""
        self._room.bytes -= self.bytes
        self.bytes = 0
