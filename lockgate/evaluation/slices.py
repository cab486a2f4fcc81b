"""Parts of the rows, each looked at on its own: where is the model worse than overall?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lockgate.data.columns import category_expression
from lockgate.errors import ConfigError
from lockgate.evaluation.intervals import interval
from lockgate.evaluation.metrics import gain, measure
from lockgate.evaluation.record import SliceScore
from lockgate.evaluation.scored import Scored
from lockgate.project import Slice
from lockgate.report.numbers import number

LARGEST = 30
MISSING = "missing"


@dataclass(frozen=True)
class Part:
    """One value, or one range, of a column, and the rows that have it: a mask [n]."""

    column: str
    value: str
    rows: NDArray[np.bool_]
    min_rows: int


def edges_of(values: pl.Series, bins: int, where: str = "evaluate.slices") -> tuple[float, ...]:
    """The inner ends of quantile ranges, fixed on the rows given (those of the training split).

    Raises:
        ConfigError: the column does not hold numbers.
    """
    if not values.dtype.is_numeric():
        raise ConfigError(
            f"{where}: {values.name!r} holds {values.dtype}, which cannot be cut into {bins} ranges.",
            "Only numbers have quantile ranges.",
            f"Take `bins` out of that slice in {where}.",
        )
    numbers = values.cast(pl.Float64).drop_nulls().to_numpy()
    finite = numbers[np.isfinite(numbers)]
    if not len(finite):
        return ()
    return tuple(np.unique(np.quantile(finite, np.linspace(0, 1, bins + 1)[1:-1])).tolist())


def parts_of(
    values: pl.Series, min_rows: int, edges: Sequence[float] | None = None
) -> tuple[list[Part], str]:
    """Parts rows by the values of a column, or by ranges; rows without a value are a part of their own.

    Args:
        values: the column, one value a row.
        min_rows: fewer rows than this are not judged.
        edges: inner ends of ranges; a range holds its lower end. None: each value is a part.

    Returns:
        The parts, and a sentence about those left out ("" when none is): of a column with very many
        values only the 30 with most rows are looked at.
    """
    if edges is None:
        return _by_value(values, min_rows)
    numbers = values.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    place = np.where(np.isfinite(numbers), np.searchsorted(edges, numbers, side="right"), -1)
    names = [MISSING if k < 0 else _range(edges, int(k)) for k in np.unique(place)]
    masks = [place == k for k in np.unique(place)]
    return [Part(values.name, n, m, min_rows) for n, m in zip(names, masks, strict=True)], ""


def _range(edges: Sequence[float], place: int) -> str:
    if not edges:
        return "all"
    if place == 0:
        return f"below {number(edges[0])}"
    if place == len(edges):
        return f"{number(edges[-1])} and more"
    return f"{number(edges[place - 1])} to {number(edges[place])}"


def _by_value(values: pl.Series, min_rows: int) -> tuple[list[Part], str]:
    texts = values.to_frame().select(category_expression(values.name, values.dtype)).to_series()
    counted = texts.fill_null(MISSING).rename("value").to_frame().with_row_index("row")
    groups = (
        counted.group_by("value")
        .agg(pl.col("row"), pl.len().alias("rows"))
        .sort(["rows", "value"], descending=[True, False])
    )
    parts = []
    for value, rows, _ in groups.head(LARGEST).iter_rows():
        mask = np.zeros(len(values), dtype=bool)
        mask[np.asarray(rows)] = True
        parts.append(Part(values.name, value, mask, min_rows))
    left_out = groups.height - len(parts)
    note = (
        f"{values.name} has {groups.height:,} values; the {LARGEST} with most rows are shown."
        if left_out
        else ""
    )
    return parts, note


def slice_parts(
    test: pl.DataFrame, train: pl.DataFrame, slices: Sequence[Slice]
) -> tuple[list[Part], tuple[str, ...]]:
    """The parts of the test rows that the project asks for; ranges are fixed on the training rows.

    Raises:
        ConfigError: a column is not there, or cannot be cut into ranges.
    """
    parts: list[Part] = []
    notes: list[str] = []
    for wanted in slices:
        require_column(wanted.column, test, "evaluate.slices")
        edges = edges_of(train[wanted.column], wanted.bins) if wanted.bins else None
        found, note = parts_of(test[wanted.column], wanted.min_rows, edges)
        parts += found
        notes += [note] if note else []
    return parts, tuple(notes)


def require_column(name: str, frame: pl.DataFrame, where: str) -> None:
    """Refuses a column that the data does not have.

    Raises:
        ConfigError: naming the columns that there are.
    """
    if name not in frame.columns:
        raise ConfigError(
            f"{where} names {name!r}, which the data does not have.",
            f"Its columns are {', '.join(frame.columns)}.",
            f"Edit {where} in project.yaml.",
        )


def score_slices(
    parts: Sequence[Part], scored: Scored, metric: str, confidence: float, resamples: int, seed: int
) -> tuple[SliceScore, ...]:
    """The main metric on each part, against the value on all rows.

    Parts with fewer rows than asked, or on which the metric is not defined, are not judged. The intervals
    of all judged parts hold together with the given confidence (Bonferroni).
    """
    overall = measure(metric, scored)
    judged = [p for p in parts if p.rows.sum() >= p.min_rows]
    each = 1 - (1 - confidence) / max(len(judged), 1)
    return tuple(_score(p, scored, metric, overall, (each, resamples, seed)) for p in parts)


def _score(part: Part, scored: Scored, metric: str, overall: float, how: tuple[Any, ...]) -> SliceScore:
    rows = int(part.rows.sum())
    base = SliceScore(column=part.column, value=part.value, rows=rows, min_rows=part.min_rows, metric=metric)
    if rows < part.min_rows:
        return base.model_copy(
            update={"note": f"{rows:,} rows are too few to judge; at least {part.min_rows:,} are needed"}
        )
    inside = scored.take(part.rows)
    value = measure(metric, inside)
    if np.isnan(value):
        return base.model_copy(update={"note": f"{metric} is not defined on these rows"})
    ends = interval(metric, inside, *how)
    low, high = ends or (None, None)
    best = None if ends is None else max(ends, key=lambda end: gain(metric, end, overall))
    return base.model_copy(
        update={
            "score": value,
            "low": low,
            "high": high,
            "drop": -gain(metric, value, overall),
            "significant": best is not None and gain(metric, best, overall) < 0,
        }
    )
