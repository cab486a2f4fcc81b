"""Measures a network between epochs: loss and main metric on the tune rows and on some training rows."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lockgate.evaluation.metrics import measure
from lockgate.evaluation.scored import Scored
from lockgate.features.spec import TransformSpec
from lockgate.training.chunks import Chunk
from lockgate.training.input import Rows, Source
from lockgate.training.stepper import network_inputs
from lockgate.training.task import Task, mean_loss

BATCH = 8_192
TRAIN_SAMPLE = 32_768
TUNE_ROWS = 2_000_000


@dataclass(frozen=True)
class Judgement:
    """The mean loss per row on tune, and the main metric on tune and on the training sample."""

    tune_loss: float
    metric: float
    train_metric: float


class Judge:
    """Measures by a network of its own, outside of any strategy, so that the averaged weights can be tried.

    Args:
        network: takes the weights to measure.
        spec: the layout of the rows.
        task: what the scores mean.
        metric: the main metric.
        train: the training rows; at most 32,768 of them are measured, spread over all.
        tune: the tune rows; at most two million.
    """

    def __init__(
        self,
        network: keras.Model,
        *,
        spec: TransformSpec,
        task: Task,
        metric: str,
        train: Source,
        tune: Source,
    ) -> None:
        self.network, self.spec, self.task, self.metric = network, spec, task, metric
        self.train = spread(train, TRAIN_SAMPLE)
        self.tune = spread(tune, TUNE_ROWS)
        self._forward = tf.function(
            lambda numbers, categories: network(network_inputs(spec, numbers, categories), training=False),
            input_signature=[
                tf.TensorSpec([None, len(spec.numbers)], tf.float32),
                tf.TensorSpec([None, len(spec.categories)], tf.int32),
            ],
        )

    def measure(self, weights: list[npt.NDArray[Any]]) -> Judgement:
        """Measures the network with these weights."""
        self.network.set_weights(weights)
        scores = self.scores(self.tune)
        loss = mean_loss(self.task, scores, self.tune.label)
        return Judgement(
            loss, self._metric(scores, self.tune), self._metric(self.scores(self.train), self.train)
        )

    def scores(self, rows: Rows) -> npt.NDArray[np.float32]:
        """The network's scores of rows, [n, members · width]."""
        parts = [rows.slice(start, start + BATCH) for start in range(0, len(rows), BATCH)]
        return np.concatenate([self._forward(p.numbers, p.categories).numpy() for p in parts])

    def answers(self, rows: Rows) -> npt.NDArray[np.float32]:
        """What the model says of rows: probabilities or values."""
        found: npt.NDArray[np.float32] = np.asarray(self.task.answer(tf.constant(self.scores(rows))))
        return found

    def _metric(self, scores: npt.NDArray[np.float32], rows: Rows) -> float:
        answers = np.asarray(self.task.answer(tf.constant(scores)), dtype=np.float64)
        return measure(self.metric, Scored(self.spec.label.task, rows.label, answers))


def spread(features: Source, most: int) -> Rows:
    """At most so many rows, an equal piece from the start of every row group."""
    share = min(1.0, most / max(1, len(features)))
    return features.read(
        [
            Chunk(file, group, 0, max(1, int(rows * share)))
            for file, groups in enumerate(features.groups)
            for group, rows in enumerate(groups)
        ]
    )
