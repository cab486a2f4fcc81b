"""The identity of rows: a digest of a frame's content, and a 64-bit hash of each row."""

import hashlib
from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lockgate.records import Column

VERSION = b"lockgate rows 1\n"


class ContentDigest:
    """A SHA-256 over rows that come in pieces; how they are cut into pieces does not matter.

    It depends on the columns' names, types and order, on the rows' values and order, and on nothing else:
    not on the file format, its compression, row groups, or the versions of libraries. A negative zero
    counts as zero.
    """

    def __init__(self, columns: tuple[Column, ...]) -> None:
        self._columns = columns
        self._rows = 0
        self._streams = [(hashlib.sha256(), hashlib.sha256(), hashlib.sha256()) for _ in columns]

    def update(self, frame: pl.DataFrame) -> None:
        """Takes up the next rows."""
        self._rows += frame.height
        for column, streams in zip(self._columns, self._streams, strict=True):
            for stream, data in zip(streams, canonical_bytes(frame.get_column(column.name)), strict=False):
                stream.update(data.data)

    def hexdigest(self) -> str:
        """The digest so far, 64 hexadecimal digits."""
        total = hashlib.sha256(VERSION + str(self._rows).encode())
        for column, streams in zip(self._columns, self._streams, strict=True):
            total.update(f"\0{column.name}\0{column.dtype}\0".encode())
            for stream in streams:
                total.update(stream.digest())
        return total.hexdigest()


def canonical_bytes(series: pl.Series) -> Iterator[NDArray[np.generic]]:
    """The bytes that stand for a column's values: which are present, the values, and for text its bytes."""
    yield series.is_not_null().cast(pl.UInt8).to_numpy()
    if series.dtype == pl.String:
        lengths, text = string_bytes(series)
        yield lengths
        yield text
    else:
        yield _fixed_width(series)


def string_bytes(series: pl.Series) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    """The lengths in bytes of a text column's values, and all their UTF-8 bytes; missing ones are empty."""
    filled = series.fill_null("").rechunk()
    lengths = filled.str.len_bytes().cast(pl.UInt64).to_numpy()
    array = filled.to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = array.buffers()
    if data is None or not len(filled):
        return lengths, np.empty(0, np.uint8)
    places = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    return lengths, np.frombuffer(data, np.uint8)[places[0] : places[-1]]


def _fixed_width(series: pl.Series) -> NDArray[np.generic]:
    physical = series.to_physical()
    if physical.dtype == pl.Boolean:
        physical = physical.cast(pl.UInt8)
    values = physical.fill_null(0).to_numpy()
    values = values + 0.0 if physical.dtype.is_float() else values
    return np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<")))
