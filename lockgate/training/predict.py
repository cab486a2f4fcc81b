"""Predicts many rows with a trained model: by its exported signature, and by training's own path."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lockgate.errors import ServingError
from lockgate.features.spec import TransformSpec
from lockgate.training.spec import ModelSpec

Tensors = Mapping[str, npt.NDArray[Any]]
Predict = Callable[[Tensors], npt.NDArray[np.float32]]
BATCH = 16_384


def load(folder: Path) -> Predict:
    """The SavedModel of a model folder as a function of raw tensors (see `lockgate.features.raw.encode`).

    It gives float32 [n] (binary: probability; regression: value) or [n, classes].

    Raises:
        ServingError: the folder holds no SavedModel with the signature that model.json tells of.
    """
    import tensorflow as tf

    spec = ModelSpec.load(folder / "model.json")
    try:
        loaded = tf.saved_model.load(str(folder / "saved_model"))
        signature = loaded.signatures["serving_default"]
    except (OSError, KeyError) as error:
        raise ServingError(
            f"{folder / 'saved_model'} cannot be loaded: {error}.",
            "A model folder holds a SavedModel with the signature serving_default.",
            "Train again: `lockgate run --from train`.",
        ) from None
    dtypes = {c.tensor: signature.structured_input_signature[1][c.tensor].dtype for c in spec.inputs}

    def call(part: Tensors) -> Any:
        feeds = {name: tf.constant(part[name], dtype=dtype) for name, dtype in dtypes.items()}
        # The signature alone would let the loaded object, and its variables with it, be collected.
        return loaded.signatures["serving_default"](**feeds)[spec.output]

    return in_batches(call, [c.tensor for c in spec.inputs])


def training_path(folder: Path) -> Predict:
    """The same answers the way that training computes them.

    The preprocessing model is built anew from transform.json, the network is read from network.keras, and
    the two run one after the other, as when the features are materialised and then learnt from.
    """
    import keras
    import tensorflow as tf

    from lockgate.features.preprocess import build
    from lockgate.training.task import Task

    spec = TransformSpec.load(folder / "transform.json")
    preprocessing = build(spec)
    network = keras.saving.load_model(folder / "network.keras", compile=False)
    task = Task(spec.label)
    transform = tf.function(preprocessing, reduce_retracing=True)
    forward = tf.function(lambda inputs: task.answer(network(inputs, training=False)), reduce_retracing=True)

    def call(part: Tensors) -> Any:
        return tf.cast(
            forward(transform({c.tensor: tf.constant(part[c.tensor]) for c in spec.columns})), tf.float32
        )

    return in_batches(call, [c.tensor for c in spec.columns])


def in_batches(call: Callable[[Tensors], Any], names: list[str]) -> Predict:
    """Calls a model on stretches of at most 16,384 rows; memory does not grow with the rows."""

    def predict(tensors: Tensors) -> npt.NDArray[np.float32]:
        rows = len(tensors[names[0]])
        starts = range(0, max(rows, 1), BATCH)
        parts = [call({n: tensors[n][start : start + BATCH] for n in names}).numpy() for start in starts]
        return np.concatenate(parts)

    return predict
