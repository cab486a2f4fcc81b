"""A steady stream of requests to one model; every answer is counted by the revision that gave it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

from serving.laptop.load import Counts, Load

Answers = Counter[tuple[str, str]]
RATE = 50.0


class Traffic:
    """Sends bodies in turn by the clock, half of them on kept connections, half each on one of its own.

    Args:
        url: to post to.
        host: the Host header.
        bodies: JSON requests.
        rate: requests a second.
    """

    def __init__(self, url: str, host: str, bodies: Sequence[bytes], rate: float = RATE) -> None:
        self.rate = rate
        self._url, self._host, self._bodies = url, host, bodies
        self._counts: list[Counts] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _begin(self) -> None:
        for connection in ("keep-alive", "close"):
            headers = {"Host": self._host, "Connection": connection}
            load = Load(self._url, self._bodies, self.rate / 2, headers=headers)
            self._stack.enter_context(load)
            self._counts.append(load.counts)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """No requests as long as the context lasts; those that were sent have their answers."""
        self._stack.close()
        try:
            yield
        finally:
            self._begin()

    @property
    def answers(self) -> Answers:
        """All answers until now, by status code (or the failure's name) and revision."""
        return sum((Counter(counts.answers) for counts in self._counts), Counter())

    @property
    def sent(self) -> int:
        """Requests that were sent until now."""
        return sum(counts.sent for counts in self._counts)

    @property
    def late(self) -> float:
        """The longest time in seconds that a request was sent after its moment."""
        return max(counts.latest for counts in self._counts)

    def window(self) -> "Window":
        """Counts from now on."""
        return Window(self)


class Window:
    """What was answered since a moment."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic, self._before = traffic, traffic.answers

    @property
    def answers(self) -> Answers:
        """Answers since then, by status code (or the failure's name) and revision."""
        return self._traffic.answers - self._before

    @property
    def total(self) -> int:
        """Their number."""
        return self.answers.total()

    def of(self, revision: str) -> int:
        """How many of them the revision gave; its name ends with the digits that its answers show."""
        digits = revision.rpartition("-")[2]
        return sum(n for (_, by), n in self.answers.items() if by == digits)

    def lost(self) -> Answers:
        """Those other than 200."""
        return Counter({key: n for key, n in self.answers.items() if key[0] != "200"})
