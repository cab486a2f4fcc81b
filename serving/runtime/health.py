"""Is the server ready? Only while a prediction works, and not once it was told to stop."""

import logging
import time
from collections.abc import Callable

from serving.runtime.scorer import Scorer

log = logging.getLogger("lockgate.serving")

# So long a prediction stands for the next ones; readiness is asked every few seconds.
FRESH_SECONDS = 1.0


class Health:
    """Answers readiness by predicting the example row.

    Args:
        scorer: the model.
        clock: seconds, of any origin.
    """

    def __init__(self, scorer: Scorer, clock: Callable[[], float] = time.monotonic) -> None:
        self._scorer = scorer
        self._clock = clock
        self._tried = float("-inf")
        self._reason = ""
        self.draining = False

    def why_not(self) -> str:
        """Why the server is not ready, in a sentence; empty when it is."""
        if self.draining:
            return "The server was told to stop: it answers what still comes, and takes no new traffic."
        if self._clock() - self._tried >= FRESH_SECONDS:
            self._try()
        return self._reason

    def _try(self) -> None:
        try:
            self._scorer.answer(self._scorer.scores(self._scorer.example))
            reason = ""
        except Exception as error:  # whatever TensorFlow raises, the server is not ready
            # Not the error's own words: they may quote values, and readiness is public.
            reason = f"The model does not answer the example row ({type(error).__name__})."
        if reason != self._reason:
            log.warning("%s", reason or "The model answers the example row again.")
        self._reason = reason
        self._tried = self._clock()
