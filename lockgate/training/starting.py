"""A worker's signals: before the first step it leaves at once, from then on it saves first."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

from lockgate.training.exits import Exit

STOPS = (signal.SIGTERM, signal.SIGINT)
POLL = 0.2


class StopSignals:
    """SIGTERM and SIGINT of a worker process.

    While the worker starts there is nothing to save, and its main thread may be inside of TensorFlow, waiting
    for the other workers, where Python runs no signal handler: so a thread takes the signals and ends the
    process. TensorFlow's coordination service takes SIGTERM for itself as it starts; as all threads block
    it meanwhile, none is lost. After `begin` a signal is a wish that the training loop asks for.

    Args:
        leave: ends the process.
    """

    def __init__(self, leave: Callable[[], None] | None = None) -> None:
        self._leave = leave or _leave
        self._wishes: list[int] = []
        self._has_begun = threading.Event()
        self._thread = threading.Thread(target=self._wait, daemon=True, name="stop-signals")

    def start(self) -> None:
        """Blocks the signals in this thread and all that it starts, and waits for them in one of its own."""
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        self._thread.start()

    def begin(self) -> None:
        """From now on a signal is a wish."""
        self._has_begun.set()
        self._thread.join()
        for number in STOPS:
            signal.signal(number, self._wish)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)

    def wants_stop(self) -> bool:
        """Whether the process was asked to stop."""
        return bool(self._wishes)

    def _wish(self, number: int, _: FrameType | None) -> None:
        self._wishes.append(number)

    def _wait(self) -> None:
        while not self._has_begun.is_set():
            if signal.sigtimedwait(STOPS, POLL) is not None:
                self._leave()


def _leave() -> None:
    print("Asked to stop before the first step.", flush=True)
    os._exit(Exit.SAVED)
