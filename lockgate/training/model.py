"""The built-in network: a linear part beside a deep one, by configuration."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import initializers, layers, ops, regularizers

from lockgate.features.spec import NUMBERS, OTHER, CategoryInput, TransformSpec
from lockgate.project import Model

Inputs = dict[str, Any]


def inputs_of(spec: TransformSpec) -> Inputs:
    """The network's symbolic inputs: "numbers" float32 [n, d], every category int32 [n]."""
    inputs: Inputs = {c.input: keras.Input((), name=c.input, dtype="int32") for c in spec.categories}
    if spec.numbers:
        inputs[NUMBERS] = keras.Input((len(spec.numbers),), name=NUMBERS, dtype="float32")
    return inputs


def wide_and_deep(settings: Model, spec: TransformSpec, width: int) -> keras.Model:
    """The network: scores [n, members · width], each member its own deep part on shared embeddings.

    The deep part sees the numbers, the one-hot categories and the embeddings; the wide part is linear in
    the numbers and in every category and cross (Cheng et al., 2016: Wide & Deep Learning).
    """
    inputs = inputs_of(spec)
    features = deep_inputs(settings, spec, inputs)
    members = []
    for member in range(settings.members):
        hidden = features
        for depth, units in enumerate(settings.hidden):
            hidden = _block(settings, f"member{member}_hidden{depth}", units)(hidden)
        members.append(layers.Dense(width, dtype="float32", name=f"member{member}_scores")(hidden))
    scores = layers.Concatenate(name="members")(members) if len(members) > 1 else members[0]
    if settings.wide:
        linear = _linear(settings, spec, inputs, width)
        scores = scores + ops.tile(linear, (1, settings.members))
    return keras.Model(inputs, scores, name="network")


def deep_inputs(settings: Model, spec: TransformSpec, inputs: Mapping[str, Any]) -> Any:
    """Numbers, one-hot categories and embeddings side by side, [n, …]."""
    crosses = {c.name for c in spec.crosses}
    parts: list[Any] = [inputs[NUMBERS]] if NUMBERS in inputs else []
    for category in spec.categories:
        if category.embedding:
            table = layers.Embedding(
                category.places,
                category.embedding,
                embeddings_initializer=initializers.RandomNormal(stddev=0.05),
                embeddings_regularizer=regularizers.L2(settings.l2) if settings.l2 else None,
                name=f"embed_{category.input}",
            )
            learnt = table(inputs[category.input])
            if settings.embedding_dropout:
                learnt = layers.Dropout(settings.embedding_dropout)(learnt)
            parts.append(learnt)
        elif category.name not in crosses or not settings.wide:
            parts.append(_one_hot(category, inputs[category.input]))
    return layers.Concatenate(name="features")(parts) if len(parts) > 1 else parts[0]


def _one_hot(category: CategoryInput, places: Any) -> Any:
    """One column a place but for OTHER, the reference: a value never trained on then adds nothing."""
    hot = ops.one_hot(places, category.places)
    columns = [place for place in range(category.places) if place != OTHER]
    return ops.take(hot, np.array(columns), axis=1)


def _block(settings: Model, name: str, units: int) -> Any:
    regularizer = regularizers.L2(settings.l2) if settings.l2 else None
    parts: list[Any] = [
        layers.Dense(
            units, kernel_regularizer=regularizer, use_bias=not settings.batch_norm, name=f"{name}_dense"
        )
    ]
    if settings.batch_norm:
        # Over all replicas, so that several workers learn what one would.
        parts.append(layers.BatchNormalization(momentum=0.9, synchronized=True, name=f"{name}_norm"))
    parts.append(layers.Activation(settings.activation, name=f"{name}_active"))
    if settings.dropout:
        parts.append(layers.Dropout(settings.dropout, name=f"{name}_dropout"))

    def apply(tensor: Any) -> Any:
        for part in parts:
            tensor = part(tensor)
        return tensor

    return apply


def _linear(settings: Model, spec: TransformSpec, inputs: Mapping[str, Any], width: int) -> Any:
    """Linear in the numbers and in every place of every category, which all live in one table."""
    regularizer = regularizers.L2(settings.l2) if settings.l2 else None
    terms = []
    if NUMBERS in inputs:
        dense = layers.Dense(
            width, use_bias=False, kernel_regularizer=regularizer, dtype="float32", name="wide_numbers"
        )
        terms.append(dense(inputs[NUMBERS]))
    if spec.categories:
        sizes = [c.places for c in spec.categories]
        offsets = np.cumsum([0, *sizes[:-1]]).astype(np.int32)
        places = ops.stack([inputs[c.input] for c in spec.categories], axis=1) + offsets
        table = layers.Embedding(
            sum(sizes),
            width,
            embeddings_initializer="zeros",
            embeddings_regularizer=regularizer,
            dtype="float32",
            name="wide_categories",
        )
        terms.append(ops.sum(table(places), axis=1))
    return terms[0] if len(terms) == 1 else terms[0] + terms[1]
