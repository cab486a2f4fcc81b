"""Rows of a frame as a client would send them: JSON values by column, in V1's and V2's form."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from lockgate.features.raw import RawColumn
from lockgate.shipping.decode import LARGEST

Values = Mapping[str, list[Any]]


def json_values(frame: pl.DataFrame, columns: Sequence[RawColumn]) -> dict[str, list[Any]]:
    """The input columns of n rows as JSON values by column name; missing is None, dates are ISO 8601 text.

    Numbers that are not finite, or beyond what float32 holds, are None: training takes them as missing,
    and JSON has no words for them.
    """
    return {column.name: _values(frame[column.name], column) for column in columns}


def _values(series: pl.Series, column: RawColumn) -> list[Any]:
    if series.dtype == pl.Null:
        return series.to_list()
    if series.dtype.is_temporal():
        return series.dt.to_string("iso:strict").to_list()
    if series.dtype.is_float():
        return [_number(value, column) for value in series.cast(pl.Float64).to_list()]
    return series.to_list()


def _number(value: float | None, column: RawColumn) -> float | str | None:
    if value is None or math.isnan(value):
        return None
    if column.kind == "category":  # where training reads it as a text like any other
        return value if math.isfinite(value) else str(value)
    return value if abs(value) <= LARGEST else None


def v1_instances(values: Values) -> list[dict[str, Any]]:
    """The rows as V1 instances."""
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def v2_inputs(frame: pl.DataFrame, columns: Sequence[RawColumn]) -> list[dict[str, Any]]:
    """The rows as V2 inputs, one per column; dates are seconds since 1970, so both ways are tried."""
    values = json_values(frame, columns)
    inputs = []
    for column in columns:
        series, data = frame[column.name], values[column.name]
        if column.kind == "date" and series.dtype.is_temporal():
            datatype, data = "INT64", series.dt.epoch("s").to_list()
        elif series.dtype == pl.Boolean:
            datatype = "BOOL"
        elif series.dtype.is_integer():
            datatype = "INT64" if series.dtype != pl.UInt64 else "UINT64"
        elif series.dtype.is_float() and column.kind == "number":
            datatype = "FP64"
        elif series.dtype.is_float():
            datatype, data = "BYTES", category_texts(series)
        else:
            datatype = "INT64" if series.dtype == pl.Null and column.kind != "category" else "BYTES"
        inputs.append({"name": column.name, "shape": [frame.height], "datatype": datatype, "data": data})
    return inputs


def category_texts(series: pl.Series) -> list[str]:
    """A column's categories as the model knows them, missing as ""."""
    from lockgate.features.raw import texts

    return [str(text) for text in texts(series)]
