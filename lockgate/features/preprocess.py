"""The preprocessing model: raw tensors to network inputs, by Keras layers whose constants are given.

Nothing is adapted or learnt here, so training, evaluation and serving run the very same operations.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from lockgate.features.calendar import part_of
from lockgate.features.layout import LARGEST_CATEGORY_CYCLE
from lockgate.features.raw import MISSING_DATE
from lockgate.features.spec import (
    CYCLES,
    FIRST,
    NUMBERS,
    CategorySpec,
    CrossSpec,
    DateSpec,
    NumberSpec,
    TransformSpec,
)

DTYPES = {"number": "float32", "category": "string", "date": "int64"}
# Keeps a value far outside of the training data from overflowing in the network.
FARTHEST = 1e4


def build(spec: TransformSpec) -> keras.Model:
    """The model from raw tensors (by tensor name, each [n]) to network inputs.

    It gives {"numbers": float32 [n, len(spec.numbers)], <category input>: int32 [n], …}; the numbers are
    never NaN or infinite, and every category is below its `places`. Without numbers there is no "numbers".
    """
    raw = {c.tensor: keras.Input((), name=c.tensor, dtype=DTYPES[c.kind]) for c in spec.columns}
    block: list[Any] = []
    places: dict[str, Any] = {}
    scaled, flags = _numbers(spec, raw, places)
    block += scaled + flags
    for date in spec.of_kind("date"):
        if isinstance(date, DateSpec):
            block += _date(date, raw[spec.column(date.name).tensor], places)
    for category in spec.of_kind("category"):
        if isinstance(category, CategorySpec):
            places[category.name] = _lookup(category, raw[spec.column(category.name).tensor])
    sizes = {c.name: c.places for c in spec.categories}
    for cross in spec.crosses:
        places[cross.name] = _cross(cross, places, sizes)
    outputs = {c.input: ops.cast(places[c.name], "int32") for c in spec.categories}
    if block:
        outputs[NUMBERS] = ops.concatenate(block, axis=1) if len(block) > 1 else block[0]
    return keras.Model(raw, outputs, name="preprocessing")


def _numbers(
    spec: TransformSpec, raw: Mapping[str, Any], places: dict[str, Any]
) -> tuple[list[Any], list[Any]]:
    numbers = [f for f in spec.features if isinstance(f, NumberSpec)]
    if not numbers:
        return [], []
    tensors = [raw[spec.column(f.name).tensor] for f in numbers]
    values = ops.stack(tensors, axis=1)
    known = ops.isfinite(values)
    most = float(np.finfo(np.float32).max)
    filled = ops.where(known, values, _constant([f.fill for f in numbers]))
    low = _constant([-most if f.low is None else f.low for f in numbers])
    high = _constant([most if f.high is None else f.high for f in numbers])
    shaped = ops.minimum(ops.maximum(filled, low), high)
    if any(f.log for f in numbers):
        logged = ops.sign(shaped) * ops.log1p(ops.abs(shaped))
        shaped = ops.where(np.array([[f.log for f in numbers]]), logged, shaped)
    normal = layers.Normalization(
        axis=-1, mean=[f.mean for f in numbers], variance=[f.std**2 for f in numbers], name="scaling"
    )
    scaled = ops.clip(normal(shaped), -FARTHEST, FARTHEST)
    if (components := spec.components) is not None:
        matrix = np.asarray(components.matrix, dtype=np.float32).T
        scaled = ops.matmul(scaled - _constant(components.means), matrix)
    for place, number in enumerate(numbers):
        if number.boundaries:
            cut = layers.Discretization(bin_boundaries=list(number.boundaries), output_mode="int")
            found = ops.cast(cut(ops.expand_dims(filled[:, place], 1)), "int64")[:, 0]
            places[number.name] = ops.where(known[:, place], found + 1, ops.zeros_like(found))
    flagged = [i for i, f in enumerate(numbers) if f.flag]
    absent = ops.cast(ops.logical_not(known), "float32")
    return [scaled], [ops.take(absent, flagged, axis=1)] if flagged else []


def _constant(values: Any) -> np.ndarray[Any, Any]:
    return np.asarray([values], dtype=np.float32)


def _date(date: DateSpec, seconds: Any, places: dict[str, Any]) -> list[Any]:
    known = ops.not_equal(seconds, MISSING_DATE)
    safe = ops.where(known, seconds, ops.zeros_like(seconds))
    waves = []
    for part in date.parts:
        value = part_of(safe, part)
        angle = ops.cast(value, "float32") * (2 * np.pi / CYCLES[part])
        mask = ops.cast(known, "float32")
        waves += [ops.expand_dims(wave(angle) * mask, 1) for wave in (ops.sin, ops.cos)]
        if CYCLES[part] <= LARGEST_CATEGORY_CYCLE:
            places[f"{date.name}.{part}"] = ops.where(known, value + FIRST, ops.zeros_like(value))
    return waves


def _lookup(category: CategorySpec, texts: Any) -> Any:
    if not category.vocabulary:
        return ops.cast(ops.not_equal(texts, ""), "int64")
    lookup = layers.StringLookup(
        vocabulary=list(category.vocabulary), mask_token="", num_oov_indices=1, output_mode="int"
    )
    return ops.cast(lookup(texts), "int64")


def _cross(cross: CrossSpec, places: Mapping[str, Any], sizes: Mapping[str, int]) -> Any:
    """Integer arithmetic on places: exact where all combinations fit, else a polynomial hash modulo a prime.

    Keras' HashedCrossing would hash even where every combination has room, and has no ONNX twin.
    """
    combinations = int(np.prod([sizes[name] for name in cross.of], dtype=object))
    total = ops.cast(places[cross.of[0]], "int64")
    for name in cross.of[1:]:
        place = ops.cast(places[name], "int64")
        if combinations <= cross.bins:
            total = total * sizes[name] + place
        else:
            total = ops.mod(total * 1_000_003 + place + 1, 2_147_483_647)
    return total if combinations <= cross.bins else ops.mod(total, cross.bins)
