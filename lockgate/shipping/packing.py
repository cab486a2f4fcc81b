"""Rows of requests as few arrays, one per kind of column: what the served model takes in one call.

A call of a signature costs some microseconds for every tensor, and decoding column by column some more.
So a few rows are packed at once: all numbers of a request into one array, all texts, all dates. The rules
are those of `lockgate.shipping.decode`, and whatever is not plainly allowed goes through its functions,
which refuse it in their words.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np

from lockgate.data.columns import Kind
from lockgate.features.raw import RawColumn
from lockgate.shipping.decode import (
    LARGEST,
    Tensor,
    category_text,
    decode_column,
    decode_rows,
    seconds_of,
)

KINDS: tuple[Kind, ...] = ("number", "category", "date")
NULL = type(None)
NUMBERS = frozenset({int, float, bool, NULL})
# Of a category's types, those whose text needs no rounding: a float goes the long way.
TEXTS = frozenset({str, int, bool, NULL})
DATES = frozenset({str, int, float, NULL})


class Unusual(Exception):
    """Values that the short way does not take; the long way takes them, or says why not."""


@dataclass(frozen=True, slots=True)
class Packed:
    """Rows as one array per kind that the model has, in the order of `KINDS`, each [rows, columns].

    Numbers are float32 (missing: NaN), categories object arrays of str (missing: ""), dates int64 seconds
    since 1970 (missing: the smallest int64).
    """

    rows: int
    arrays: tuple[Tensor, ...]


class Packing:
    """How the columns of one model are packed.

    Args:
        columns: the input columns of the model, at least one.
    """

    def __init__(self, columns: Sequence[RawColumn]) -> None:
        self.columns = tuple(columns)
        self.groups = {
            kind: group for kind in KINDS if (group := tuple(c for c in self.columns if c.kind == kind))
        }
        self._take = {kind: _taker([c.name for c in group]) for kind, group in self.groups.items()}

    def of_rows(self, rows: Sequence[object]) -> Packed:
        """Packs V1 instances.

        Raises:
            RequestError: as `decode_rows`.
        """
        try:
            width = len(self.columns)
            for row in rows:
                if type(row) is not dict or len(row) != width:
                    raise Unusual
            return Packed(len(rows), tuple(PACK[k](map(t, rows), len(rows)) for k, t in self._take.items()))
        except (Unusual, KeyError):
            return self.of_tensors(decode_rows(rows, self.columns))

    def of_columns(self, values: Mapping[str, Sequence[object]]) -> Packed:
        """Packs the values of V2 inputs, by column name; every column is there, all of one length.

        Raises:
            RequestError: as `decode_column`.
        """
        rows = len(values[self.columns[0].name])
        try:
            arrays = []
            for kind, group in self.groups.items():
                across = zip(*(values[column.name] for column in group), strict=True)
                arrays.append(PACK[kind](across, rows))
            return Packed(rows, tuple(arrays))
        except Unusual:
            return self.of_tensors({c.tensor: decode_column(c, values[c.name]) for c in self.columns})

    def of_tensors(self, tensors: Mapping[str, Tensor]) -> Packed:
        """Packs raw tensors (`lockgate.features.raw.encode`), by tensor name."""
        arrays = tuple(
            np.stack([tensors[column.tensor] for column in group], axis=1) for group in self.groups.values()
        )
        return Packed(len(arrays[0]), arrays)


def joined(parts: Sequence[Packed]) -> Packed:
    """The rows of all parts, one part after the other."""
    if len(parts) == 1:
        return parts[0]
    arrays = zip(*(part.arrays for part in parts), strict=True)
    return Packed(sum(part.rows for part in parts), tuple(np.concatenate(each) for each in arrays))


def _taker(names: Sequence[str]) -> Any:
    """From a row, the tuple of the values of these columns."""
    if len(names) > 1:
        return itemgetter(*names)
    name = names[0]
    return lambda row: (row[name],)


def _numbers(rows: Iterable[tuple[Any, ...]], count: int) -> Tensor:
    values = list(chain.from_iterable(rows))
    types = set(map(type, values))
    if not types <= NUMBERS:
        raise Unusual
    try:
        wide = np.array(values, dtype=np.float64)
    except OverflowError:
        raise Unusual from None
    missing = values.count(None) if NULL in types else 0
    if np.count_nonzero(np.abs(wide) <= LARGEST) != len(values) - missing:
        raise Unusual
    return wide.astype(np.float32).reshape(count, -1)


def _texts(rows: Iterable[tuple[Any, ...]], count: int) -> Tensor:
    values = list(chain.from_iterable(rows))
    types = set(map(type, values))
    if types != {str}:
        if not types <= TEXTS:
            raise Unusual
        values = [value if type(value) is str else category_text(value) for value in values]
    try:
        "".join(values).encode()
    except UnicodeEncodeError:
        raise Unusual from None
    # An object array is filled: np.array would make a fixed-width one, and lose zero bytes at the end.
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array.reshape(count, -1)


def _dates(rows: Iterable[tuple[Any, ...]], count: int) -> Tensor:
    values = list(chain.from_iterable(rows))
    if not set(map(type, values)) <= DATES:
        raise Unusual
    seconds = list(map(seconds_of, values))
    if None in seconds:
        raise Unusual
    return np.array(seconds, dtype=np.int64).reshape(count, -1)


PACK = {"number": _numbers, "category": _texts, "date": _dates}
