"""A 64-bit hash of each row, the same in every run and for every version of every library."""

import hashlib
from collections.abc import Iterable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lockgate.data.digest import string_bytes

Hashes = NDArray[np.uint64]
PIECE = 65_536
BASE = 0x9E3779B97F4A7C15 | 1
INVERSE = pow(BASE, -1, 1 << 64)
NULL = np.uint64(0xA5A5F00DDEADBEEF)


def row_hashes(frame: pl.DataFrame, seed: int = 0) -> Hashes:
    """One hash a row, uint64 [n], of all columns' names and values; the order of the columns does not matter.

    Integers and booleans count by value, whatever their width; a negative zero counts as zero. Two rows
    that differ have the same hash with a chance of about 2^-64.
    """
    return finished(column_sums(frame, frame.columns), seed)


def column_sums(frame: pl.DataFrame, columns: Iterable[str]) -> Hashes:
    """The unfinished hash of each row over some columns, uint64 [n]; those of two sets of columns add up."""
    total = np.zeros(frame.height, np.uint64)
    for name in columns:
        key = np.frombuffer(hashlib.blake2b(name.encode(), digest_size=8).digest(), "<u8")
        total += _mixed(value_hashes(frame.get_column(name)) ^ key)
    return total


def finished(sums: Hashes, seed: int = 0) -> Hashes:
    """The hashes of rows from the sums over all their columns."""
    return _mixed(sums + _mixed(np.array([seed], np.uint64)))


def value_hashes(series: pl.Series) -> Hashes:
    """One hash a value, uint64 [n]."""
    if series.dtype == pl.String:
        pieces = [_string_hashes(series.slice(start, PIECE)) for start in range(0, len(series), PIECE)]
        hashes = np.concatenate(pieces) if pieces else np.empty(0, np.uint64)
    elif series.dtype.is_float():
        floats = series.cast(pl.Float64).fill_null(0.0).to_numpy() + 0.0
        hashes = _mixed(floats.view(np.uint64))
    else:
        physical = series.to_physical()
        wide = physical if physical.dtype == pl.UInt64 else physical.cast(pl.Int64)
        hashes = _mixed(wide.fill_null(0).to_numpy().astype(np.uint64))
    if series.null_count():
        hashes = np.where(series.is_null().to_numpy(), NULL, hashes)
    return hashes


def unit_interval(hashes: Hashes) -> NDArray[np.float64]:
    """Hashes as float64 [n] spread evenly over [0, 1)."""
    return (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mixed(values: Hashes) -> Hashes:
    """The finaliser of splitmix64.

    Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014.
    """
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


BYTE_KEYS = _mixed(np.arange(256, dtype=np.uint64))


def _string_hashes(series: pl.Series) -> Hashes:
    """A polynomial of each text's bytes modulo 2^64, by prefix sums over all the bytes at once."""
    lengths, data = string_bytes(series)
    ends = np.cumsum(lengths).astype(np.int64)
    starts = ends - lengths.astype(np.int64)
    powers = _powers(BASE, len(data) + 1)
    sums = np.zeros(len(data) + 1, np.uint64)
    np.cumsum(BYTE_KEYS[data] * powers[: len(data)], out=sums[1:])
    shifted = (sums[ends] - sums[starts]) * _powers(INVERSE, len(data) + 1)[starts]
    return _mixed(shifted ^ _mixed(lengths))


def _powers(base: int, count: int) -> Hashes:
    factors = np.full(count, base, np.uint64)
    factors[:1] = 1
    return np.multiply.accumulate(factors)


def shares_of_texts(texts: list[str]) -> NDArray[np.float64]:
    """The hash of each text as a share of all hashes, in [0, 1), float64 [n]."""
    return value_hashes(pl.Series(texts, dtype=pl.String)) / 2.0**64
