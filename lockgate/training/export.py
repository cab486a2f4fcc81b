"""Writes the model folder: the SavedModel that takes raw values, and what rebuilds it."""

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from lockgate.features.preprocess import build
from lockgate.features.raw import RawColumn
from lockgate.features.spec import TransformSpec
from lockgate.storage import explained
from lockgate.training.spec import OUTPUTS, ModelSpec
from lockgate.training.task import Task

TENSORS = {"number": tf.float32, "category": tf.string, "date": tf.int64}


def signature_of(columns: tuple[RawColumn, ...]) -> dict[str, tf.TensorSpec]:
    """The inputs of the exported signature by tensor name: rank 1, any number of rows."""
    return {c.tensor: tf.TensorSpec([None], TENSORS[c.kind], name=c.tensor) for c in columns}


def whole_model(spec: TransformSpec, network: keras.Model) -> keras.Model:
    """Raw tensors to the answer: preprocessing, network and output activation as one model."""
    preprocessing = build(spec)
    scores = network(preprocessing.output)
    answer = Task(spec.label).answer(scores)
    return keras.Model(preprocessing.input, {OUTPUTS[spec.label.task]: answer}, name="lockgate")


def export(folder: Path, spec: TransformSpec, network: keras.Model, card: ModelSpec) -> None:
    """Writes saved_model/, network.keras, transform.json and model.json.

    Raises:
        StorageError: the folder cannot be written, or the disk is full.
    """
    model = whole_model(spec, network)
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        archive = keras.export.ExportArchive()
        archive.track(model)
        archive.add_endpoint(
            "serving_default",
            lambda tensors: {name: cast(value) for name, value in model(tensors, training=False).items()},
            input_signature=[signature_of(spec.columns)],
        )
        archive.write_out(str(folder / "saved_model"), verbose=False)
        network.save(folder / "network.keras")
    spec.save(folder / "transform.json")
    card.save(folder / "model.json")


def cast(value: Any) -> Any:
    """Mixed precision ends at the model's border."""
    return tf.cast(value, tf.float32)
