"""What a task makes of the network's scores: the loss that is learnt, the answer that is given."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from keras import ops

from lockgate.features.spec import LabelSpec


@dataclass(frozen=True)
class Task:
    """A task as the network sees it.

    The network gives scores [n, members · width]: logits, or for a regression standardised values.
    Each member learns on its own; their answers are averaged.
    """

    label: LabelSpec
    smoothing: float = 0.0
    weights: tuple[float, ...] = ()

    @property
    def width(self) -> int:
        """Scores of one member: one per class of a multiclass task, else a single one."""
        return len(self.label.classes) if self.label.task == "multiclass" else 1

    def losses(self, scores: Any, label: Any) -> Any:
        """The loss of each row [n], weighted by class: cross-entropy in nats, or squared error.

        A regression's error is in units of the label's standard deviation.
        """
        members = ops.reshape(scores, (-1, scores.shape[-1] // self.width, self.width))
        if self.label.task == "regression":
            target = (tf.cast(label, tf.float32) - self.label.mean) / self.label.std
            each = tf.square(members[:, :, 0] - target[:, None])
        elif self.label.task == "binary":
            target = label * (1 - self.smoothing) + 0.5 * self.smoothing
            target = tf.broadcast_to(target[:, None], tf.shape(members[:, :, 0]))
            each = tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=members[:, :, 0])
        else:
            hot = tf.one_hot(label, self.width)
            target = hot * (1 - self.smoothing) + self.smoothing / self.width
            target = tf.broadcast_to(target[:, None, :], tf.shape(members))
            each = tf.nn.softmax_cross_entropy_with_logits(labels=target, logits=members)
        rows = tf.reduce_mean(each, axis=1)
        if self.weights:
            rows *= tf.gather(tf.constant(self.weights, dtype=tf.float32), tf.cast(label, tf.int32))
        return rows

    def answer(self, scores: Any) -> Any:
        """What the model says of each row: probability [n], probabilities [n, classes] or value [n]."""
        members = ops.reshape(scores, (-1, scores.shape[-1] // self.width, self.width))
        if self.label.task == "regression":
            return ops.mean(members[:, :, 0], axis=1) * self.label.std + self.label.mean
        if self.label.task == "binary":
            return ops.mean(ops.sigmoid(members[:, :, 0]), axis=1)
        return ops.mean(ops.softmax(members, axis=-1), axis=1)


def balanced_weights(shares: tuple[float, ...]) -> tuple[float, ...]:
    """Class weights inverse to the classes' shares; the mean weight of a row is 1."""
    return tuple(1 / (len(shares) * share) if share else 0.0 for share in shares)


def mean_loss(task: Task, scores: npt.NDArray[np.float32], label: npt.NDArray[Any]) -> float:
    """The mean loss of rows, without class weights and smoothing, as the tune curve shows it."""
    plain = Task(task.label)
    return float(tf.reduce_mean(plain.losses(tf.constant(scores), tf.constant(label))))


def check_scores(network: keras.Model, task: Task) -> None:
    """Raises ValueError when a network's output is not [n, members · width]."""
    shape = network.output_shape
    if not isinstance(shape, tuple) or len(shape) != 2 or not shape[1] or shape[1] % task.width:
        raise ValueError(
            f"the output has shape {shape}; it must be [n, {task.width}], logits without activation"
        )
