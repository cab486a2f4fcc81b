"""The raw tensors: what the exported model is fed, in training and in serving alike."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from lockgate.data.columns import Kind, category_expression
from lockgate.errors import DataError
from lockgate.records import Record

MISSING_DATE = int(np.iinfo(np.int64).min)
SAFE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class RawColumn(Record):
    """One column that the model is fed, and the name of its tensor in the exported signature.

    The tensor's name is the column's wherever TensorFlow takes it; see `raw_columns`.
    """

    name: str
    kind: Kind
    tensor: str


def raw_columns(kinds: Mapping[str, Kind]) -> tuple[RawColumn, ...]:
    """Names the tensors of columns, in the order given.

    TensorFlow's signatures take ASCII letters, digits and underscores, a letter first, and do not tell
    capitals from small letters; another name becomes `column_<place>`, its ASCII part behind it.
    """
    taken: set[str] = {"numbers"}
    columns = []
    for place, (name, kind) in enumerate(kinds.items()):
        tensor = name
        if not SAFE_NAME.fullmatch(name) or name.lower() in taken:
            tensor = unused_name(f"column_{place}_{re.sub(r'[^A-Za-z0-9]+', '_', name)}".rstrip("_"), taken)
        taken.add(tensor.lower())
        columns.append(RawColumn(name=name, kind=kind, tensor=tensor))
    return tuple(columns)


def unused_name(name: str, taken: Iterable[str]) -> str:
    """The name, with a number behind it where it is among the (lower-case) names that are taken."""
    used = set(taken)
    candidates = (name if i == 0 else f"{name}_{i}" for i in range(len(used) + 1))
    return next(c for c in candidates if c.lower() not in used)


def encode(frame: pl.DataFrame, columns: Sequence[RawColumn]) -> dict[str, np.ndarray[Any, Any]]:
    """The raw tensors of the rows, by tensor name: rank-1 arrays of `frame.height` values.

    number: float32, missing and infinite values as NaN. category: text (object array of str), missing
    as "". date: int64 seconds since 1970-01-01 UTC, missing as the smallest int64.

    Raises:
        DataError: a column is missing, or holds what its kind does not allow.
    """
    if absent := [c.name for c in columns if c.name not in frame.columns]:
        raise DataError(
            f"The rows have no column {', '.join(map(repr, absent))}.",
            f"The model is fed {', '.join(c.name for c in columns)}.",
            "Add the column to the rows; leave its value empty where it is not known.",
        )
    encoders = {"number": numbers, "category": texts, "date": seconds}
    return {c.tensor: encoders[c.kind](frame[c.name]) for c in columns}


def numbers(series: pl.Series) -> np.ndarray[Any, Any]:
    """Numbers, booleans and durations (seconds) as float32; missing and infinite values are NaN."""
    if series.dtype == pl.Duration:
        series = series.dt.total_microseconds() / 1e6
    elif not (series.dtype.is_numeric() or series.dtype in (pl.Boolean, pl.Null)):
        raise _wrong_kind(series, "number", "a number")
    values = series.cast(pl.Float32).fill_null(float("nan")).to_numpy()
    return np.where(np.isfinite(values), values, np.float32("nan"))


def texts(series: pl.Series) -> np.ndarray[Any, Any]:
    """Categories as text; whole numbers are decimal digits, booleans "true" and "false", missing is ""."""
    column = series.to_frame().select(category_expression(series.name, series.dtype)).to_series()
    return column.fill_null("").to_numpy().astype(object)


def seconds(series: pl.Series) -> np.ndarray[Any, Any]:
    """Dates and times as seconds since 1970-01-01 UTC; a time without a zone is taken as UTC."""
    if series.dtype not in (pl.Date, pl.Datetime, pl.Null):
        raise _wrong_kind(series, "date", "a date or a time")
    epoch = series.cast(pl.Datetime("us")) if series.dtype == pl.Null else series
    return epoch.dt.epoch("s").cast(pl.Int64).fill_null(MISSING_DATE).to_numpy()


def _wrong_kind(series: pl.Series, kind: str, wanted: str) -> DataError:
    return DataError(
        f"Column {series.name!r} holds {series.dtype}, but the model reads it as a {kind}.",
        f"A {kind} column holds {wanted}.",
        f"Convert the column, or set features.{series.name}.kind in project.yaml.",
    )
