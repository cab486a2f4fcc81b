"""JSON values to the raw tensors that an exported model takes; refuses what training could not have seen.

The rules are those of `lockgate.features.raw.encode`, for values that come one by one over HTTP instead of
in a frame. The model server decodes every request by these functions.

A value of a number column is a JSON number (true and false count as 1 and 0); of a category column a
string, a number or a boolean; of a date column ISO 8601 text (without a zone: UTC) or seconds since
1970-01-01 UTC. Null is a missing value, whatever the kind. Every column must be there: a key that is absent
is more often a spelling mistake than an unknown value, so unknown values are said with null.
"""

import difflib
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import polars as pl

from lockgate.data.columns import Kind
from lockgate.errors import LockgateError
from lockgate.features.raw import MISSING_DATE, RawColumn, texts

Tensor = npt.NDArray[Any]

FIRST_SECOND = int(datetime(1, 1, 1, tzinfo=UTC).timestamp())
LAST_SECOND = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())
LARGEST = float(np.finfo(np.float32).max)

ALLOWED: Mapping[Kind, str] = {
    "number": "A number between -3.4e38 and 3.4e38 is allowed, or null when it is unknown.",
    "category": "A string, a number or a boolean is allowed, or null when it is unknown.",
    "date": "ISO 8601 text such as '2013-10-01T05:15:00Z' is allowed, or seconds since 1970 (years 1 to "
    "9999), or null when it is unknown.",
}
JSON_TYPES: Mapping[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


class RequestError(LockgateError):
    """A request that cannot be answered: what was given (its type, never the value) and what is allowed."""


def decode_rows(rows: Sequence[object], columns: Sequence[RawColumn]) -> dict[str, Tensor]:
    """Rows as JSON objects to one tensor per column.

    Args:
        rows: n objects {column: value}.
        columns: the input columns of the model.

    Returns:
        By tensor name, a rank-1 tensor of n values: float32 (missing: NaN), object of str (missing: ""), or
        int64 seconds since 1970 (missing: the smallest int64).

    Raises:
        RequestError: a row is no object, a column is unknown or absent, or a value is of a wrong type.
    """
    names = {column.name for column in columns}
    for position, row in enumerate(rows):
        if not isinstance(row, dict):
            given = f"Instance {position} is {json_type(row)}."
            raise RequestError(given, "Each instance is an object with one value per column.")
        if row.keys() != names:
            check_names(f"Instance {position}", list(row), columns)
    return {
        column.tensor: decode_column(column, [row[column.name] for row in rows])  # type: ignore[index]
        for column in columns
    }


def check_names(where: str, names: Sequence[str], columns: Sequence[RawColumn]) -> None:
    """Refuses unknown, absent and repeated columns.

    Raises:
        RequestError: with the column's name, and the nearest known one.
    """
    known = [column.name for column in columns]
    if unknown := [name for name in names if name not in known]:
        near = difflib.get_close_matches(str(unknown[0]), known, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else f"The model's columns are: {', '.join(known)}."
        raise RequestError(f"{where} has a column '{unknown[0][:80]}', which the model does not know.", hint)
    if absent := [name for name in known if name not in names]:
        more = f" (and {len(absent) - 1} more)" if len(absent) > 1 else ""
        given = f"{where} has no column '{absent[0]}'{more}."
        raise RequestError(given, "Give every column; null where the value is unknown.")
    if twice := [name for name in known if names.count(name) > 1]:
        raise RequestError(f"{where} has the column '{twice[0]}' more than once.", "Give every column once.")


def decode_column(column: RawColumn, values: Sequence[object]) -> Tensor:
    """The values of one column, as JSON gave them, to a rank-1 tensor (see `decode_rows`).

    Raises:
        RequestError: a value is of a wrong type or out of range; names the column and the row's position.
    """
    decoders = {"number": _numbers, "category": _categories, "date": _dates}
    return decoders[column.kind](column.name, values)


def _numbers(name: str, values: Sequence[object]) -> Tensor:
    _check_types(name, "number", values, {int, float, bool, type(None)})
    try:
        wide = np.array(values, dtype=np.float64)
    except OverflowError:  # a whole number beyond float64, which only Python's own JSON reader lets through
        _refuse_value(name, "number", next(i for i, v in enumerate(values) if _beyond(v)), "is too large")
    known = np.array([value is not None for value in values], dtype=bool) if None in values else True
    if (bad := np.flatnonzero(known & ~(np.abs(wide) <= LARGEST))).size:
        reason = "is not a number (NaN)" if math.isnan(wide[bad[0]]) else "is infinite or too large"
        _refuse_value(name, "number", int(bad[0]), reason)
    return wide.astype(np.float32)


def _beyond(value: object) -> bool:
    return isinstance(value, int) and abs(value) > LARGEST


def _categories(name: str, values: Sequence[object]) -> Tensor:
    _check_types(name, "category", values, {str, int, float, bool, type(None)})
    if float in map(type, values):
        for position, value in enumerate(values):
            if isinstance(value, float) and not math.isfinite(value):
                _refuse_value(name, "category", position, "is not a finite number")
    written = [value if type(value) is str else category_text(value) for value in values]
    try:
        "".join(written).encode()
    except UnicodeEncodeError:
        position = next(i for i, text in enumerate(written) if any("\ud800" <= c <= "\udfff" for c in text))
        _refuse_value(name, "category", position, "is not valid Unicode text (a lone surrogate)")
    tensor = np.empty(len(written), dtype=object)
    tensor[:] = written
    return tensor


def category_text(value: object) -> str:
    """A category that is no string (null, a number, a boolean) as the text that training made of it."""
    if value is None:
        return ""
    if isinstance(value, float):  # by training's own rule: 3.0 is "3", 0.5 is "0.5"
        return str(texts(pl.Series([value]))[0])
    return str(value).lower() if isinstance(value, bool) else str(value)


def _dates(name: str, values: Sequence[object]) -> Tensor:
    _check_types(name, "date", values, {str, int, float, type(None)})
    tensor = np.empty(len(values), dtype=np.int64)
    for position, value in enumerate(values):
        seconds = seconds_of(value)
        if seconds is None:
            unit = " (milliseconds?)" if isinstance(value, int) and abs(value) > LAST_SECOND else ""
            _refuse_value(name, "date", position, f"is {json_type(value)} that is no date{unit}")
        tensor[position] = seconds
    return tensor


def seconds_of(value: object) -> int | None:
    """Seconds since 1970, the marker of a missing date for null, None for what is no date."""
    if value is None:
        return MISSING_DATE
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            since = moment - datetime(1970, 1, 1, tzinfo=UTC)
        except (ValueError, OverflowError):
            return None
        # Whole numbers: total_seconds() rounds the microseconds of far dates up to the next second.
        return since.days * 86_400 + since.seconds
    if isinstance(value, (int, float)) and FIRST_SECOND <= value < LAST_SECOND + 1:
        return math.floor(value)
    return None


def _check_types(name: str, kind: Kind, values: Sequence[object], allowed: set[type]) -> None:
    if not allowed.issuperset(map(type, values)):
        position = next(i for i, value in enumerate(values) if type(value) not in allowed)
        _refuse_value(name, kind, position, f"is {json_type(values[position])}")


def _refuse_value(name: str, kind: Kind, position: int, reason: str) -> NoReturn:
    raise RequestError(f"Column '{name}' of row {position} {reason}.", ALLOWED[kind])


def json_type(value: object) -> str:
    """What a value is in JSON's terms, for a sentence."""
    return JSON_TYPES.get(type(value), f"of type {type(value).__name__}")
