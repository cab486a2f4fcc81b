"""The exported model, loaded: packed rows in, answers out. Knows TensorFlow, knows no HTTP."""

from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from lockgate.errors import ServingError
from lockgate.shipping.answer import answers, predictions
from lockgate.shipping.decode import Tensor
from lockgate.shipping.folder import EXAMPLE, Example, ServingSpec
from lockgate.shipping.packing import Packed, Packing, joined
from lockgate.training.spec import ModelSpec

TYPES = {"number": tf.float32, "category": tf.string, "date": tf.int64}


def use_threads(threads: int) -> None:
    """Sets TensorFlow's threads, before the first call of TensorFlow in this process.

    Operations follow one another on one thread, and `threads` work inside one. One is best for few rows:
    handing parts of a small matrix to other threads takes longer than computing it.
    """
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(threads)


class Answered:
    """The answers for the rows of one call, as both protocols need them."""

    def __init__(self, columns: dict[str, Any], classes: tuple[str, ...]) -> None:
        self.columns = columns
        self._classes = classes

    @cached_property
    def predictions(self) -> list[dict[str, Any]]:
        """One object per row, as V1 answers."""
        return predictions(self.columns, self._classes)


class Scorer:
    """Runs the `serving_default` signature of a model folder on packed rows.

    Args:
        folder: a model folder that was checked (`serving.runtime.identity`).

    Raises:
        ServingError: the model cannot answer.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spec = ModelSpec.load(folder / "model.json")
        self.threshold = ServingSpec.of(folder).threshold
        self.packing = Packing(self.spec.inputs)
        # The loaded object is kept: a signature alone does not keep its variables alive.
        self.loaded = tf.saved_model.load(str(folder / "saved_model"))
        try:
            self._call = self._packed_signature()
            self.example = self._example()
            self.answer(self.scores(self.example))
        except (tf.errors.OpError, TypeError, ValueError, KeyError, ArithmeticError) as error:
            raise self._mute(error) from error

    def scores(self, packed: Packed) -> Tensor:
        """The signature's output for n rows: float32 [n] or, with several classes, [n, classes]."""
        return self._call(*map(tf.constant, packed.arrays)).numpy()

    def answer(self, scores: Tensor) -> Answered:
        """The answers for scores (see `lockgate.shipping.answer.answers`).

        Raises:
            ArithmeticError: a score is NaN or infinite.
        """
        if bad := scores.size - np.count_nonzero(np.isfinite(scores)):
            raise ArithmeticError(f"The model gave {bad} scores that are not finite.")
        spec = self.spec
        return Answered(answers(spec.task, spec.classes, self.threshold, {spec.output: scores}), spec.classes)

    def warm_up(self, sizes: Iterable[int]) -> None:
        """Scores batches of these sizes: what TensorFlow does on the first call of a size is then done.

        Raises:
            ServingError: the model cannot answer one of them.
        """
        try:
            for rows in sizes:
                self.answer(self.scores(joined([self.example] * rows)))
        except (tf.errors.OpError, ValueError, ArithmeticError) as error:
            raise self._mute(error) from error

    def outputs_metadata(self, datatype: Callable[[Tensor], str]) -> list[dict[str, Any]]:
        """The answers as V2's model metadata lists them."""
        return [
            {"name": name, "datatype": datatype(values), "shape": [-1, *values.shape[1:]]}
            for name, values in self.answer(self.scores(self.example)).columns.items()
        ]

    def _packed_signature(self) -> Callable[..., Any]:
        """The signature behind a function of few tensors, traced once for any number of rows."""
        signature = self.loaded.signatures["serving_default"]
        groups, output = self.packing.groups, self.spec.output

        def packed(*arrays: Any) -> Any:
            tensors = {}
            for group, array in zip(groups.values(), arrays, strict=True):
                columns = tf.unstack(array, num=len(group), axis=1)
                tensors.update({c.tensor: column for c, column in zip(group, columns, strict=True)})
            return signature(**tensors)[output]

        specs = [tf.TensorSpec([None, len(group)], TYPES[kind]) for kind, group in groups.items()]
        return tf.function(packed, input_signature=specs, autograph=False).get_concrete_function()

    def _example(self) -> Packed:
        path = self.folder / EXAMPLE
        empty = {column.name: None for column in self.spec.inputs}
        row = dict(Example.load(path).row) if path.exists() else {}
        return self.packing.of_rows([row or empty])

    def _mute(self, error: Exception) -> ServingError:
        return ServingError(
            f"The model in {self.folder} does not answer: {(str(error) or repr(error)).splitlines()[0]}",
            "Its signature must take the columns that model.json names, and give a finite score.",
            "Export the model again with `lockgate run --from train`.",
        )
