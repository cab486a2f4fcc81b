"""Optimizer steps under any distribution strategy, several in one call."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from lockgate.errors import ConfigError
from lockgate.features.spec import NUMBERS, TransformSpec
from lockgate.project import Training
from lockgate.training.input import Rows
from lockgate.training.task import Task


def network_inputs(spec: TransformSpec, numbers: Any, categories: Any) -> dict[str, Any]:
    """The network's inputs from a block of numbers [n, d] and one of categories [n, c]."""
    inputs = {c.input: categories[:, i] for i, c in enumerate(spec.categories)}
    return {**inputs, NUMBERS: numbers} if spec.numbers else inputs


def refuse_clipping(settings: Training, replicas: int) -> None:
    """Raises ConfigError for a clipping that would silently change with the number of replicas."""
    if settings.clip_norm is not None and replicas > 1:
        raise ConfigError(
            f"train.clip_norm is {settings.clip_norm:g} with {replicas} replicas.",
            "Gradients are clipped before they are summed over the replicas, which changes the result.",
            "Take train.clip_norm out, or set train.workers to 1.",
        )


class Stepper:
    """Runs steps of one network and optimizer, both made under `strategy`'s scope.

    Every worker gives its own rows of a step; each of its replicas takes an equal part of them. The loss
    is the sum over all replicas of (rows' losses) / global_batch, so it is what one process would see.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        network: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        *,
        task: Task,
        spec: TransformSpec,
        global_batch: int,
        workers: int = 1,
    ) -> None:
        self.strategy, self.network, self.optimizer = strategy, network, optimizer
        self.task, self.spec, self.global_batch = task, spec, global_batch
        self.local_replicas = strategy.num_replicas_in_sync // workers
        self._sum = tf.function(self._total, input_signature=[tf.TensorSpec([None], tf.float64)])
        label_type = tf.int32 if spec.label.task == "multiclass" else tf.float32
        self._steps = tf.function(
            self._loop,
            input_signature=[
                tf.TensorSpec([None, None, len(spec.numbers)], tf.float32),
                tf.TensorSpec([None, None, len(spec.categories)], tf.int32),
                tf.TensorSpec([None, None], label_type),
                tf.TensorSpec([], tf.float32),
            ],
        )

    def run(self, batches: Sequence[Rows], wants_stop: bool) -> tuple[float, bool]:
        """Takes one step a batch; gives their mean loss, and whether any worker wants to stop.

        The wish to stop travels with the steps, so that all workers stop after the same one.
        """
        loss, wishes = self._steps(
            np.stack([b.numbers for b in batches]),
            np.stack([b.categories for b in batches]),
            np.stack([b.label for b in batches]),
            np.float32(wants_stop),
        )
        return float(loss), float(wishes) > 0

    def summed(self, values: Sequence[float]) -> list[float]:
        """The sum of all workers' values, at every worker; all must ask at the same time."""
        return [float(v) for v in self._sum(np.asarray(values, dtype=np.float64) / self.local_replicas)]

    def _total(self, values: Any) -> Any:
        each = self.strategy.run(lambda: tf.identity(values))
        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, each, axis=None)

    def _loop(self, numbers: Any, categories: Any, label: Any, stop: Any) -> tuple[Any, Any]:
        count = tf.shape(label)[0]
        total = tf.constant(0.0)
        for i in tf.range(count):
            each = self.strategy.run(self._step, args=(numbers[i], categories[i], label[i]))
            total += self.strategy.reduce(tf.distribute.ReduceOp.SUM, each, axis=None)
        wishes = self.strategy.run(lambda: tf.identity(stop))
        return total / tf.cast(count, tf.float32), self.strategy.reduce(
            tf.distribute.ReduceOp.SUM, wishes, axis=None
        )

    def _step(self, numbers: Any, categories: Any, label: Any) -> Any:
        numbers, categories, label = self._own_part(numbers, categories, label)
        with tf.GradientTape() as tape:
            scores = self.network(network_inputs(self.spec, numbers, categories), training=True)
            loss = tf.reduce_sum(self.task.losses(scores, label)) / self.global_batch
            if penalties := self.network.losses:
                loss += tf.add_n(penalties) / self.strategy.num_replicas_in_sync
        variables = self.network.trainable_variables
        gradients = tape.gradient(loss, variables)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    def _own_part(self, *tensors: Any) -> list[Any]:
        """This replica's part of its worker's rows."""
        local = self.local_replicas
        if local == 1:
            return list(tensors)
        context = tf.distribute.get_replica_context()
        own = context.replica_id_in_sync_group % local
        size = tf.shape(tensors[0])[0] // local
        return [tensor[own * size : (own + 1) * size] for tensor in tensors]
