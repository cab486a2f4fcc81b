"""Ends a worker whose step hangs: a collective can wait for ever while all heartbeats go on."""

import os
import threading
import time
from collections.abc import Callable


class Watchdog:
    """Calls `bite` once when nothing was heard for longer than was promised, or when the parent is gone.

    Args:
        bite: ends the process; given a sentence.
        parent: the process that must stay alive, by its id.
        poll: seconds between two looks.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        bite: Callable[[str], None],
        *,
        parent: int,
        poll: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bite, self._parent, self._poll, self._clock = bite, parent, poll, clock
        self._deadline, self._awaited = float("inf"), ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="watchdog")

    def start(self) -> None:
        """Begins to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the watch."""
        self._over.set()

    def expect(self, what: str, seconds: float) -> None:
        """Promises that `what` will happen, and `expect` be called again, within so many seconds."""
        self._awaited = f"{what} within {seconds:g} seconds"
        self._deadline = self._clock() + seconds

    def _watch(self) -> None:
        while not self._over.wait(self._poll):
            if self._clock() > self._deadline:
                self._bite(f"There was no {self._awaited}.")
                return
            if os.getppid() != self._parent:
                self._bite("The process that started this worker is gone.")
                return
