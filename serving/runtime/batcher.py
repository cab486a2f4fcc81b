"""Joins the requests that wait into one call of the model, while the call before them still runs.

Nothing is delayed on purpose: a request that comes alone is scored at once. While the model computes, or
while other requests are read, those that have arrived gather; the next call takes them all.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from lockgate.shipping.packing import Packed, joined
from serving.runtime.metrics import Metrics
from serving.runtime.sample import First, first_of
from serving.runtime.scorer import Answered, Scorer

BATCH_ROWS = 256
# A few rows take less time than the way to a thread; many would keep health checks waiting.
INLINE_ROWS = 256


class Overloaded(Exception):
    """More waits already than may wait: the request is refused at once, before it costs anything."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The answers to one request: the rows from `start` to `stop` of those of its batch."""

    answered: Answered
    start: int
    stop: int

    def predictions(self) -> list[dict[str, Any]]:
        """One object per row, as V1 answers."""
        return self.answered.predictions[self.start : self.stop]

    def first(self) -> First:
        """The answer for the first row."""
        return first_of(self.answered.columns, self.start)

    def columns(self) -> dict[str, Any]:
        """By name, an array over the rows, as V2 answers."""
        return {name: values[self.start : self.stop] for name, values in self.answered.columns.items()}


class Batcher:
    """Scores packed rows for many requests; lives on one event loop.

    Args:
        scorer: the model.
        metrics: is told of every call.
        most_waiting: requests that may wait; one more is refused.
        batch_rows: rows at which a call is full; a request is never divided.
    """

    def __init__(
        self, scorer: Scorer, metrics: Metrics, most_waiting: int = 1024, batch_rows: int = BATCH_ROWS
    ) -> None:
        self._scorer = scorer
        self._metrics = metrics
        self._most_waiting = most_waiting
        self._batch_rows = batch_rows
        self._waiting: deque[tuple[Packed, asyncio.Future[Slice]]] = deque()
        self._scheduled = False
        self._aside = ThreadPoolExecutor(1, "large")
        self._large = 0
        metrics.waiting = lambda: len(self._waiting) + self._large

    def admit(self) -> None:
        """Refuses a request while too many wait.

        Raises:
            Overloaded: try again in a second.
        """
        if len(self._waiting) + self._large >= self._most_waiting:
            self._metrics.refused["overloaded"] += 1
            raise Overloaded

    async def score(self, packed: Packed) -> Slice:
        """The answers for the rows of one request.

        Raises:
            Overloaded: too many requests wait.
            ArithmeticError: the model gave these rows NaN or infinity.
        """
        self.admit()
        if packed.rows > INLINE_ROWS:
            return await self.aside(self._scored, packed)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Slice] = loop.create_future()
        self._waiting.append((packed, future))
        if not self._scheduled:
            self._scheduled = True
            # Not now: the requests that arrived together with this one are read first.
            loop.call_soon(self._call)
        return await future

    async def aside(self, work: Callable[..., Slice], *given: Any) -> Slice:
        """Runs what takes long in a thread beside the event loop, one after the other; counts its rows."""
        self._large += 1
        try:
            answer = await asyncio.get_running_loop().run_in_executor(self._aside, work, *given)
        finally:
            self._large -= 1
        self._metrics.scored(answer.answered.columns, answer.stop, 1)
        return answer

    def _scored(self, packed: Packed) -> Slice:
        return Slice(self._scorer.answer(self._scorer.scores(packed)), 0, packed.rows)

    def _call(self) -> None:
        """Scores what waits, up to a full batch; what is left gets its turn after new requests were read."""
        batch, rows = [], 0
        while self._waiting and (not batch or rows + self._waiting[0][0].rows <= self._batch_rows):
            batch.append(self._waiting.popleft())
            rows += batch[-1][0].rows
        self._scheduled = bool(self._waiting)
        if self._scheduled:
            asyncio.get_running_loop().call_soon(self._call)
        try:
            scores = self._scorer.scores(joined([packed for packed, _ in batch]))
            answered = self._scorer.answer(scores)
        except Exception as error:
            self._each(batch, error)
            return
        self._metrics.scored(answered.columns, rows, len(batch))
        start = 0
        for packed, future in batch:
            if not future.done():  # its client may have gone
                future.set_result(Slice(answered, start, start + packed.rows))
            start += packed.rows

    def _each(self, batch: list[tuple[Packed, "asyncio.Future[Slice]"]], error: Exception) -> None:
        """One request's rows must not fail the others of its batch: each is scored by itself."""
        for packed, future in batch:
            try:
                answer = self._scored(packed) if len(batch) > 1 else None
            except Exception as own:
                answer, error = None, own
            if answer is None:
                if not future.done():
                    future.set_exception(error)
                continue
            self._metrics.scored(answer.answered.columns, packed.rows, 1)
            if not future.done():
                future.set_result(answer)


def sizes(most: int = BATCH_ROWS) -> list[int]:
    """The batch sizes to warm up: every small one, then steps that grow by a quarter, to the largest."""
    grown = np.unique(np.geomspace(33, most, 10).round().astype(int)).tolist() if most > 32 else []
    return [*range(1, min(32, most) + 1), *grown]
