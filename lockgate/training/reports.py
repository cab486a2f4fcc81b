"""What a worker tells its launcher: progress, seldom enough for a bucket, and the error that it failed by."""

import time
import traceback
from collections.abc import Callable, Mapping

from lockgate.errors import LockgateError, TrainingError
from lockgate.storage import Store
from lockgate.training.state import LoopState

PROGRESS = "progress.json"
SECONDS = 2.0
PARTS = "\n\x1f\n"


class Reports:
    """Writes the newest state of the chief into a store: every two seconds, and at the end of every epoch.

    On a folder every state is written; an object of a bucket takes about one write a second.

    Args:
        store: where the launcher looks.
        clock: seconds that only grow.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock = store, clock
        self._seconds = SECONDS if store.address.startswith("gs://") else 0.0
        self._told_at, self._epochs = float("-inf"), -1

    def progress(self, state: LoopState) -> None:
        """Tells of a state, or keeps it to itself when the last one was told a moment ago."""
        now, epochs = self._clock(), len(state.history)
        if epochs == self._epochs and now - self._told_at < self._seconds:
            return
        self._told_at, self._epochs = now, epochs
        self._store.write(PROGRESS, state.model_dump_json().encode())


def error_name(worker: int) -> str:
    """The name of the object that holds a worker's error."""
    return f"error-{worker}.txt"


def text_of(error: Exception) -> str:
    """An error as text: the sentences of our own ones, the traceback of all others."""
    if isinstance(error, LockgateError):
        return PARTS.join((error.given, error.allowed, error.next_step))
    return "".join(traceback.format_exception(error))


def error_of(texts: Mapping[int, str]) -> TrainingError:
    """The one error to raise for what workers have written, by their index: the first one's, once."""
    parts = texts[min(texts)].split(PARTS)
    if len(parts) == 3:
        return TrainingError(*parts)
    where = ", ".join(str(worker) for worker in sorted(texts))
    return TrainingError(
        f"Training failed in worker {where}:\n{parts[0].rstrip()}", "", "Mend it, then run again."
    )
