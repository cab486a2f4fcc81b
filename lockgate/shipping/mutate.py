"""Rows that no data set holds, but a client may send: made from real ones by seeded mutation."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
import polars as pl

from lockgate.features.raw import RawColumn

# 1e30 leaves float32 room for what a network multiplies it by; beyond, infinity minus infinity is NaN.
FLOATS = (None, 0.0, -0.0, -1.0, 0.5, 1e-30, 1e30, -1e30, float("nan"), float("inf"))
TEXTS = (None, "", " ", "never seen before", "Zürich ✈ 東京", "NaN", "null", "0", "true", "x" * 1000)
DATES = (None, date(1, 1, 1), date(1969, 12, 31), date(2000, 2, 29), date(2400, 2, 29), date(9999, 12, 31))
TIMES = (
    None,
    datetime(1, 1, 1),
    datetime(1969, 12, 31, 23, 59, 59),
    datetime(2000, 2, 29, 12),
    datetime(2013, 7, 1, 0, 0, 0, 999_999),
    datetime(9999, 12, 31, 23, 59, 59),
)


def mutated(frame: pl.DataFrame, columns: Sequence[RawColumn], rows: int, seed: int) -> pl.DataFrame:
    """New rows of the input columns: real ones, each with about a quarter of its values replaced.

    The replacements are missing values, unseen categories, empty, long and non-ASCII texts, extreme
    numbers and dates, as far as the column's type holds them.

    Args:
        frame: the real rows, at least one.
        columns: the input columns; those alone are in the result, with their types.
        rows: how many rows to make.
        seed: the same seed gives the same rows.
    """
    rng = np.random.default_rng(seed)
    base = frame.select(c.name for c in columns)[rng.integers(frame.height, size=rows)]
    return base.select(_mutated(base[c.name], rng) for c in columns)


def _mutated(series: pl.Series, rng: np.random.Generator) -> pl.Series:
    pool = strange_values(series.dtype)
    chosen = rng.random(series.len()) < 0.25
    picks = rng.integers(len(pool), size=series.len())
    strange = pl.Series(pool, dtype=series.dtype, strict=False)[picks]
    frame = pl.DataFrame({"real": series, "strange": strange, "chosen": chosen})
    return frame.select(pl.when("chosen").then("strange").otherwise("real").alias(series.name)).to_series()


def strange_values(dtype: pl.DataType) -> tuple[Any, ...]:
    """Values of a type that are rare, extreme or missing."""
    if dtype.is_float():
        return FLOATS
    if dtype.is_integer():
        low, high = pl.select(dtype.min().alias("low"), dtype.max().alias("high")).row(0)  # type: ignore[attr-defined]
        return (None, 0, 1, low, high)
    if dtype == pl.Boolean:
        return (None, True, False)
    if dtype == pl.Date:
        return DATES
    return TIMES if dtype.is_temporal() else TEXTS
