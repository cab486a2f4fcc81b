"""One leader among several controllers, by a lease that has to be renewed.

As Kubernetes' own controllers do it: nobody compares two machines' clocks. Who is not the leader takes the
lease when it has seen it unchanged for as long as it lasts, by its own clock. A leader that could not renew
it stops acting well before that.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from lockgate.errors import ClusterError


@dataclass(frozen=True)
class Held:
    """The lease as it is: who holds it (empty: nobody), for how many seconds, and a token of this state."""

    holder: str
    seconds: float
    version: str
    transitions: int = 0


class Lock(Protocol):
    """Where the lease is kept. All raise ClusterError."""

    def read(self) -> Held | None:
        """The lease; None where there is none yet."""

    def take(self, holder: str, seconds: float, before: Held | None) -> Held | None:
        """Writes the lease over what was read before; None where somebody else was faster."""


class Leader:
    """Whether this controller leads.

    Args:
        lock: where the lease is kept.
        identity: of this controller, different from every other's, and from its own before a restart.
        clock: seconds, of any origin.
        seconds: how long the lease lasts.
    """

    def __init__(
        self, lock: Lock, identity: str, clock: Callable[[], float], *, seconds: float = 15.0
    ) -> None:
        self._lock, self._identity, self._clock = lock, identity, clock
        self._seconds = seconds
        # A third of it is for what is under way, and for clocks that do not run alike.
        self._acting = seconds * 2 / 3
        self.pause = seconds / 5
        self._seen: tuple[Held | None, float] = (None, clock())
        self._renewed: float | None = None

    @property
    def is_leading(self) -> bool:
        """Whether it may act now."""
        return self._renewed is not None and self._clock() < self._renewed + self._acting

    def step(self) -> bool:
        """Renews the lease, or takes it if it may; to be called every `pause` seconds. Whether it leads then.

        Raises:
            ClusterError: the lease cannot be read or written; it leads on until `is_leading` ends.
        """
        # From before it was asked: the others may have seen the renewal that early.
        asked = self._clock()
        there = self._lock.read()
        if self._seen[0] != there:
            self._seen = there, asked
        if there is not None and there.holder not in {"", self._identity} and not self._is_over(there):
            self._renewed = None
            return False
        taken = self._lock.take(self._identity, self._seconds, there)
        if taken is None:
            self._renewed = None
            return False
        self._seen = taken, asked
        self._renewed = asked
        return self.is_leading

    def release(self) -> None:
        """Lets another controller lead at once, where this one did.

        Raises:
            ClusterError: the lease cannot be written; it ends by itself then.
        """
        if self._renewed is None:
            return
        self._renewed = None
        there = self._lock.read()
        if there is not None and there.holder == self._identity:
            self._lock.take("", self._seconds, there)

    def check(self) -> None:
        """Goes before each write.

        Raises:
            ClusterError: it does not lead any more.
        """
        if not self.is_leading:
            raise ClusterError(
                "This controller leads no longer, as it could not renew its lease.",
                "One controller acts at a time.",
                "Another goes on, or this one when it has the lease again.",
            )

    def _is_over(self, there: Held) -> bool:
        return self._clock() >= self._seen[1] + there.seconds
