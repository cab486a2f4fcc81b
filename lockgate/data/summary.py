"""What is learnt of one column of one partition; summaries of several partitions add up."""

import functools
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lockgate.data import points as distribution
from lockgate.data import vocabulary as words
from lockgate.data.columns import Kind, category_expression
from lockgate.data.points import Points
from lockgate.data.vocabulary import Vocabulary

COUNTED_RANGE = 1 << 21
CACHED = 1 << 16


@dataclass(frozen=True)
class NumberSummary:
    """A numeric column; `m2` is the sum of squared distances from the mean, all over finite values."""

    rows: int
    missing: int
    infinite: int
    zeros: int
    mean: float
    m2: float
    min: float
    max: float
    is_integer: bool
    points: Points

    @property
    def finite(self) -> int:
        """How many finite values there are."""
        return self.rows - self.missing - self.infinite


@dataclass(frozen=True)
class CategorySummary:
    """A column of categories; `length` is the sum of the texts' lengths in bytes."""

    rows: int
    missing: int
    length: float
    vocabulary: Vocabulary


@dataclass(frozen=True)
class DateSummary:
    """A column of dates or times; `vocabulary` holds them as counts of days or microseconds."""

    rows: int
    missing: int
    min: datetime | None
    max: datetime | None
    vocabulary: Vocabulary


Summary = NumberSummary | CategorySummary | DateSummary


def summarise(series: pl.Series, kind: Kind) -> Summary:
    """The summary of a column of one partition."""
    match kind:
        case "number":
            return _number(series)
        case "category":
            return summarise_counts(_counted(series))
        case "date":
            return _date(series)


def _number(series: pl.Series) -> NumberSummary:
    if series.dtype == pl.Boolean:
        series = series.cast(pl.UInt8)
    if series.dtype.is_integer():
        return _integers(series)
    ordered = series.to_numpy(writable=True)
    ordered.sort()
    present = int(np.searchsorted(ordered, np.nan))
    first = int(np.searchsorted(ordered, -np.inf, side="right"))
    last = int(np.searchsorted(ordered[:present], np.inf, side="left"))
    finite = ordered[first:last]
    is_integer = _whole(finite[:1000]) and _whole(finite)
    infinite = present - len(finite)
    return _numbers(len(series), infinite, is_integer, distribution.from_sorted(finite), finite)


def _whole(values: NDArray[np.floating]) -> bool:
    return bool((np.floor(values) == values).all())


def _integers(series: pl.Series) -> NumberSummary:
    values = series.drop_nulls().to_numpy()
    if len(values) and int(values.max()) - int(values.min()) < COUNTED_RANGE:
        lowest = int(values.min())
        counts = np.bincount((values - values.dtype.type(lowest)).astype(np.int64, copy=False))
        found = np.flatnonzero(counts)
        points = distribution.from_counts((found + lowest).astype(np.float64), counts[found])
        return _numbers(len(series), 0, True, points, None, (found + lowest, counts[found]))
    ordered = np.sort(values).astype(np.float64)
    return _numbers(len(series), 0, True, distribution.from_sorted(ordered), ordered)


def _numbers(
    rows: int,
    infinite: int,
    is_integer: bool,
    points: Points,
    ordered: NDArray[np.floating] | None,
    counted: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
) -> NumberSummary:
    """From finite values in ascending order, or from distinct ones with their counts."""
    if ordered is not None:
        count = len(ordered)
        zeros = int(np.searchsorted(ordered, 0, "right") - np.searchsorted(ordered, 0, "left"))
        mean = float(ordered.mean(dtype=np.float64)) if count else 0.0
        m2 = _squares(ordered, mean)
        low, high = (float(ordered[0]), float(ordered[-1])) if count else (0.0, 0.0)
    else:
        assert counted is not None
        values, counts = counted[0].astype(np.float64), counted[1]
        count = int(counts.sum())
        zeros = int(counts[values == 0].sum())
        mean = float((values * counts).sum()) / count
        m2 = float(((values - mean) ** 2 * counts).sum())
        low, high = float(values[0]), float(values[-1])
    missing = rows - count - infinite
    return NumberSummary(rows, missing, infinite, zeros, mean, m2, low, high, is_integer, points)


def _squares(values: NDArray[np.floating], mean: float) -> float:
    """The sum of squared distances from the mean, in pieces that stay in the processor's cache."""
    total = 0.0
    for start in range(0, len(values), CACHED):
        apart = values[start : start + CACHED] - np.float64(mean)
        apart *= apart  # not a dot product: BLAS would start threads that cost more than they do
        total += float(apart.sum())
    return total


def summarise_counts(counted: pl.DataFrame) -> CategorySummary:
    """The summary of a column of categories from its values (`text`) and their numbers of rows (`count`)."""
    rows = int(counted.get_column(words.COUNT).sum() or 0)
    dtype = counted.schema[words.TEXT]
    named = counted.with_columns(category_expression(words.TEXT, dtype)).drop_nulls()
    present = int(named.get_column(words.COUNT).sum() or 0)
    return CategorySummary(rows, rows - present, words.lengths(named), words.from_counts(named))


def _date(series: pl.Series) -> DateSummary:
    times = series.cast(pl.Datetime("us"))
    counted = _counted(series).drop_nulls()
    texts = counted.with_columns(pl.col(counted.columns[0]).to_physical().cast(pl.String))
    low, high = times.min(), times.max()
    assert low is None or isinstance(low, datetime)
    assert high is None or isinstance(high, datetime)
    return DateSummary(series.len(), series.null_count(), low, high, words.from_counts(texts))


def _counted(series: pl.Series) -> pl.DataFrame:
    return series.alias(words.TEXT).value_counts(name=words.COUNT)


def merged(one: Summary, other: Summary) -> Summary:
    """The summary of both together; they are of the same kind."""
    rows, missing = one.rows + other.rows, one.missing + other.missing
    match one, other:
        case NumberSummary(), NumberSummary():
            return _merged_numbers(one, other)
        case CategorySummary(), CategorySummary():
            vocabulary = words.merged(one.vocabulary, other.vocabulary)
            return CategorySummary(rows, missing, one.length + other.length, vocabulary)
        case DateSummary(), DateSummary():
            low = min((s.min for s in (one, other) if s.min), default=None)
            high = max((s.max for s in (one, other) if s.max), default=None)
            return DateSummary(rows, missing, low, high, words.merged(one.vocabulary, other.vocabulary))
    raise TypeError(f"a {type(one).__name__} and a {type(other).__name__} do not add up")


def _merged_numbers(one: NumberSummary, other: NumberSummary) -> NumberSummary:
    """Means and squares are joined by the rule of Chan, Golub and LeVeque (1979)."""
    finite = [s for s in (one, other) if s.finite]
    count = sum(s.finite for s in finite)
    mean = sum(s.mean * s.finite for s in finite) / count if count else 0.0
    return NumberSummary(
        rows=one.rows + other.rows,
        missing=one.missing + other.missing,
        infinite=one.infinite + other.infinite,
        zeros=one.zeros + other.zeros,
        mean=mean,
        m2=sum(s.m2 + s.finite * (s.mean - mean) ** 2 for s in finite),
        min=min((s.min for s in finite), default=0.0),
        max=max((s.max for s in finite), default=0.0),
        is_integer=all(s.is_integer for s in finite),
        points=distribution.merged(one.points, other.points),
    )


class Accumulator:
    """Adds up summaries that come one after the other, joining those of as many parts each.

    Memory grows with the logarithm of their number only, and so does the error of quantiles.
    """

    def __init__(self) -> None:
        self._stack: list[tuple[int, Summary]] = []

    def add(self, summary: Summary) -> None:
        """Takes up the summary of the next part."""
        level = 0
        while self._stack and self._stack[-1][0] == level:
            summary = merged(self._stack.pop()[1], summary)
            level += 1
        self._stack.append((level, summary))

    def result(self) -> Summary:
        """The summary of all parts so far; there must have been one."""
        return functools.reduce(
            lambda later, earlier: merged(earlier, later), (s for _, s in self._stack[::-1])
        )
