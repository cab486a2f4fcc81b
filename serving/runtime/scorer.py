"""The exported model, loaded: raw tensors in, answers out. Knows TensorFlow, knows no HTTP."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from lockgate.errors import ServingError
from lockgate.shipping.answer import answers
from lockgate.shipping.decode import Tensor, decode_rows
from lockgate.shipping.folder import EXAMPLE, Example, ServingSpec
from lockgate.training.spec import ModelSpec


class Scorer:
    """Runs the `serving_default` signature of a model folder.

    Args:
        folder: a model folder that was checked (`lockgate.shipping.folder.check_digest`).

    Raises:
        ServingError: the model cannot answer.
    """

    def __init__(self, folder: Path) -> None:
        self.spec = ModelSpec.load(folder / "model.json")
        self.threshold = ServingSpec.of(folder).threshold
        # The loaded object is kept: a signature alone does not keep its variables alive.
        self._loaded = tf.saved_model.load(str(folder / "saved_model"))
        self._signature = self._loaded.signatures["serving_default"]
        self._warm_up(folder)

    def score(self, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
        """The answers for n rows, by name (see `lockgate.shipping.answer.answers`).

        Raises:
            ArithmeticError: the model gave NaN or infinity.
        """
        outputs = {
            name: value.numpy()
            for name, value in self._signature(
                **{name: tf.constant(values) for name, values in tensors.items()}
            ).items()
        }
        scores = outputs[self.spec.output]
        if bad := np.count_nonzero(~np.isfinite(scores)):
            raise ArithmeticError(f"The model gave {bad} scores that are not finite.")
        return answers(self.spec.task, self.spec.classes, self.threshold, outputs)

    def outputs_metadata(self, datatype: Callable[[Tensor], str]) -> list[dict[str, Any]]:
        """The answers as V2's model metadata lists them."""
        empty = {column.name: None for column in self.spec.inputs}
        answered = self.score(decode_rows([empty], self.spec.inputs))
        return [
            {"name": name, "datatype": datatype(values), "shape": [-1, *values.shape[1:]]}
            for name, values in answered.items()
        ]

    def _warm_up(self, folder: Path) -> None:
        """One row and two rows: what TensorFlow does on first use is done before the first request."""
        path = folder / EXAMPLE
        empty = {column.name: None for column in self.spec.inputs}
        row = dict(Example.load(path).row) if path.exists() else empty
        try:
            for rows in ([row], [row, empty]):
                self.score(decode_rows(rows, self.spec.inputs))
        except (tf.errors.OpError, TypeError, ValueError, ArithmeticError) as error:
            raise ServingError(
                f"The model in {folder} does not answer: {str(error).splitlines()[0]}",
                "Its signature must take the columns that model.json names, and give a finite score.",
                "Export the model again with `lockgate run --from train`.",
            ) from error
