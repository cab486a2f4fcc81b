"""The training loop: epochs, checkpoints, early stopping; the same for one process and for many."""

import math
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lockgate.errors import TrainingError
from lockgate.evaluation.metrics import gain
from lockgate.project import Training
from lockgate.training.checkpoint import Keeper, Weights
from lockgate.training.input import Batches, Rows
from lockgate.training.judge import Judge, Judgement
from lockgate.training.network import learning_rate
from lockgate.training.record import Epoch
from lockgate.training.state import LoopState
from lockgate.training.stepper import Stepper

STEPS_A_CALL = 16
EMA_DECAY = 0.99
# A gain below this is noise of the last digits, not an epoch worth keeping.
LEAST_GAIN = 1e-6


class Stopped(Exception):
    """The training was asked to stop; it can be resumed at `step`."""

    def __init__(self, step: int) -> None:
        super().__init__(f"saved at step {step}")
        self.step = step


class Disagreement(Exception):
    """The workers have restored different steps, and cannot go on together; started again, they can."""


def _ignore(_: LoopState) -> None:
    return


@dataclass(frozen=True)
class Watch:
    """Who looks on.

    `wants_stop` is asked before every call of a few steps; `progress` is told the state after every call and
    every epoch; `judging` is told when an epoch is about to be measured.
    """

    wants_stop: Callable[[], bool] = lambda: False
    progress: Callable[[LoopState], None] = _ignore
    judging: Callable[[], None] = lambda: None


@dataclass
class Loop:
    """One training, from wherever its checkpoints stand to its end.

    Args:
        stepper: takes the steps.
        batches: this worker's batches.
        judge: measures epochs; None on workers that are not the chief, who learn what it found.
        settings: epochs, patience, how often to save.
        metric: the main metric, which early stopping watches.
        keeper: saves and restores; None: nothing is saved.
        watch: who looks on.
        clock: seconds that only grow.
    """

    stepper: Stepper
    batches: Batches
    judge: Judge | None
    settings: Training
    metric: str
    keeper: Keeper | None = None
    watch: Watch = Watch()
    clock: Callable[[], float] = time.monotonic
    state: LoopState = field(default_factory=LoopState)
    average: Weights | None = None
    best: Weights | None = None
    _new_best: Weights | None = None
    _saved_at: int = 0

    def run(self) -> LoopState:
        """Trains to the end and leaves the best epoch's weights in `best`.

        Raises:
            Stopped: a worker was asked to stop; the step is saved.
            Disagreement: the workers have not restored the same step.
            TrainingError: the loss is not finite.
            StorageError: a checkpoint cannot be written.
        """
        self._resume()
        self._check_start()
        while not self.state.is_done:
            self._epoch()
            self._close_epoch()
            if self.state.is_done or self.state.step - self._saved_at >= self.settings.checkpoint_steps:
                self.save()
            self.watch.progress(self.state)
        if self.keeper is not None and (best := self.keeper.best()) is not None:
            self.best = best
        return self.state

    def save(self) -> None:
        """Saves the present step."""
        self._saved_at = self.state.step
        if self.keeper is not None:
            self.keeper.save(self.state, self.average, self._new_best)
            self._new_best = None

    def _resume(self) -> None:
        found = self.keeper.restore() if self.keeper is not None else None
        if found is not None:
            state, self.average = found
            self.state = state.model_copy(update={"resumed_at": (*state.resumed_at, state.step)})
            self._saved_at = state.step
        elif self.settings.ema:
            self.average = self._weights()

    def _check_start(self) -> None:
        workers = self.settings.workers
        if workers == 1:
            return
        step = self.state.step
        total = self.stepper.summed([float(step)])[0]
        if round(total) != step * workers:
            raise Disagreement(f"{workers} workers start at {total:g} steps together, this one at {step}")

    def _epoch(self) -> None:
        state = self.state
        remaining = self.batches.epoch(state.epoch, state.in_epoch)
        sizes = call_sizes(state, self.batches.steps, self.settings.checkpoint_steps)
        started = self.clock()
        for group in ahead(grouped(remaining, sizes)):
            loss, is_stopped = self.stepper.run(group, self.watch.wants_stop())
            if not math.isfinite(loss):
                raise _not_finite(loss, self.state, self.settings)
            self._average_weights(len(group))
            now = self.clock()
            self.state = self.state.model_copy(
                update={
                    "step": self.state.step + len(group),
                    "in_epoch": self.state.in_epoch + len(group),
                    "loss_sum": self.state.loss_sum + loss * len(group),
                    "seconds": self.state.seconds + now - started,
                    "total_seconds": self.state.total_seconds + now - started,
                }
            )
            started = now
            self.watch.progress(self.state)
            is_end = self.state.in_epoch == self.batches.steps
            if is_stopped or (self.state.step % self.settings.checkpoint_steps == 0 and not is_end):
                self.save()
            if is_stopped:
                raise Stopped(self.state.step)
            started = self.clock()

    def _average_weights(self, steps: int) -> None:
        """Moves the exponential average on by some steps at once."""
        if self.average is None:
            return
        # Early on the average follows the weights more closely, or it would remember their random start.
        step = self.state.step + steps
        decay = min(EMA_DECAY, (1 + step) / (10 + step)) ** steps
        pairs = zip(self.average, self._weights(), strict=True)
        self.average = [decay * kept + (1 - decay) * new for kept, new in pairs]

    def _weights(self) -> Weights:
        return [np.array(w, dtype=np.float32) for w in self.stepper.network.get_weights()]

    def _close_epoch(self) -> None:
        self.watch.judging()
        started = self.clock()
        weights = self.average if self.average is not None else self._weights()
        judged = self._agreed(self.judge.measure(weights) if self.judge is not None else None)
        state = self.state
        epoch = Epoch(
            epoch=state.epoch + 1,
            step=state.step,
            loss=state.loss_sum / max(1, state.in_epoch),
            tune_loss=judged.tune_loss,
            metric=judged.metric,
            train_metric=judged.train_metric,
            learning_rate=learning_rate(self.stepper.optimizer),
            seconds=state.seconds + self.clock() - started,
            rows_per_second=state.in_epoch * self.stepper.global_batch / max(1e-9, state.seconds),
        )
        is_best = is_better(self.metric, judged.metric, state.best_metric)
        if is_best:
            self.best = self._new_best = [w.copy() for w in weights]
        waited = 0 if is_best else state.waited + 1
        is_out = 0 < self.settings.patience <= waited
        self.state = state.model_copy(
            update={
                "epoch": state.epoch + 1,
                "in_epoch": 0,
                "loss_sum": 0.0,
                "seconds": 0.0,
                "total_seconds": state.total_seconds + self.clock() - started,
                "history": (*state.history, epoch),
                "best_epoch": epoch.epoch if is_best else state.best_epoch,
                "best_metric": judged.metric if is_best else state.best_metric,
                "waited": waited,
                "stopped_early": is_out and state.epoch + 1 < self.settings.epochs,
                "is_done": is_out or state.epoch + 1 >= self.settings.epochs,
            }
        )

    def _agreed(self, own: Judgement | None) -> Judgement:
        """What the chief measured, at every worker, so that all stop at the same epoch."""
        if self.stepper.strategy.num_replicas_in_sync == 1 and own is not None:
            return own
        values = [own.tune_loss, own.metric, own.train_metric] if own is not None else [0.0, 0.0, 0.0]
        return Judgement(*self.stepper.summed(values))


def is_better(metric: str, value: float, best: float | None) -> bool:
    """Whether an epoch's metric gains on the best so far; the first epoch always does."""
    if best is None or (math.isnan(best) and not math.isnan(value)):
        return True
    return gain(metric, value, best) > LEAST_GAIN


def call_sizes(state: LoopState, steps: int, checkpoint_steps: int) -> Iterator[int]:
    """How many steps each call takes from here to the end of the epoch; none runs past a checkpoint."""
    step, left = state.step, steps - state.in_epoch
    while left > 0:
        size = min(STEPS_A_CALL, left, checkpoint_steps - step % checkpoint_steps)
        yield size
        step += size
        left -= size


def grouped(batches: Iterator[Rows], sizes: Iterator[int]) -> Iterator[list[Rows]]:
    """Batches in groups of the given sizes."""
    for size in sizes:
        yield [next(batches) for _ in range(size)]


def ahead(groups: Iterator[list[Rows]]) -> Iterator[list[Rows]]:
    """The same groups, the next one read by a thread while this one is learnt from."""
    waiting: queue.Queue[Any] = queue.Queue(maxsize=2)
    is_over = threading.Event()

    def put(item: Any) -> None:
        while not is_over.is_set():
            try:
                waiting.put(item, timeout=0.5)
            except queue.Full:
                continue
            return

    def read() -> None:
        try:
            for group in groups:
                put(group)
                if is_over.is_set():
                    return
            put(None)
        except BaseException as error:  # raised again where the groups are used
            put(error)

    thread = threading.Thread(target=read, daemon=True, name="reading-ahead")
    thread.start()
    try:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        is_over.set()
        thread.join()


def _not_finite(loss: float, state: LoopState, settings: Training) -> TrainingError:
    return TrainingError(
        f"The loss is {loss} after step {state.step} (epoch {state.epoch + 1}), "
        f"with learning rate {settings.learning_rate:g}.",
        "Training goes on only while the loss is a finite number.",
        "Lower train.learning_rate, set train.clip_norm, or clip the features (clip: [0.001, 0.999]).",
    )
