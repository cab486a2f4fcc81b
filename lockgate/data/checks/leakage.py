"""Label leakage: how well each column alone tells the label."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lockgate.data.checks.rules import check
from lockgate.data.columns import Kind, category_expression, kind_of
from lockgate.data.label import classes_of, encode_label, has_label
from lockgate.project import Project
from lockgate.records import Check

RANGES = 200
PRIOR_ROWS = 10.0
PERFECT = 0.9995
LARGEST_SAMPLE = 1_000_000
MOST_CLASSES = 20

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


class Power(NamedTuple):
    """How well a column alone tells the label: 0.5 to 1 (AUC), or 0 to 1 (share of variance)."""

    value: float
    measure: str
    rows: int


def leakage_checks(rows: pl.LazyFrame, total: int, project: Project) -> Iterator[Check]:
    """Every column of the train split but the label and the time; columns that are no features only inform.

    Args:
        rows: the train split.
        total: how many rows it has; of more than a million, every k-th is taken.
        project: names the label, the task, the features and the limit.
    """
    schema = rows.collect_schema()
    label = project.data.label
    features = project.features_of(list(schema))
    sample = rows.filter(has_label(schema[label], project))
    if total > LARGEST_SAMPLE:
        sample = sample.gather_every(-(-total // LARGEST_SAMPLE))
    labels = sample.select(label).collect()
    if labels.height < 2 or labels.get_column(label).n_unique() < 2:
        return
    targets = target_columns(labels, project)
    names = [name for name in schema.names() if name not in (label, project.data.time)]
    width = max(1, 8 * LARGEST_SAMPLE // labels.height)
    for start in range(0, len(names), width):
        frame = sample.select(names[start : start + width]).collect()
        for name in frame.columns:
            kind = kind_of(project, name, schema[name])
            found = power(frame.get_column(name), kind, targets, project)
            yield _checked(name, found, name in features, project)


def target_columns(labels: pl.DataFrame, project: Project) -> Floats:
    """What a column is to tell.

    float64 [n, 1] of numbers (regression) or of 0 and 1 for the positive class; [n, k] of 0 and 1 for the
    at most 20 most frequent classes of a multiclass task.
    """
    codes = encode_label(labels, project)
    if project.task != "multiclass":
        return np.asarray(codes, np.float64)[:, None]
    counts = np.bincount(codes.astype(np.int64), minlength=len(classes_of(labels, project)))
    frequent = np.argsort(-counts, kind="stable")[:MOST_CLASSES]
    return np.asarray(codes[:, None] == frequent[None, :], np.float64)


def power(series: pl.Series, kind: Kind, targets: Floats, project: Project) -> Power:
    """How well the column alone tells the targets.

    The rows are put into bins: one for each category, 200 ranges of equal share for a number, one for
    missing values. Each bin predicts the mean target of its rows, drawn towards the overall mean as by 10
    more rows; bins learnt on the even rows predict the odd ones and the other way round, so that
    a column of identifiers, whose values do not come again, tells nothing. Classifiers: the area under
    the ROC curve of that prediction (of several classes: the mean of each against the rest, weighted by
    rows). Regression: the share of the label's variance that it explains, or the squared correlation
    if that is larger.
    """
    bins = _binned(series, kind)
    half = np.arange(len(bins)) % 2
    if project.task == "regression":
        target = targets[:, 0]
        share = max(_explained(bins, half, target), _correlated(series, kind, target))
        return Power(share, "share of variance", len(bins))
    weights = targets.sum(axis=0)
    areas = np.array([_area(bins, half, target) for target in targets.T])
    return Power(float(areas @ weights / weights.sum()), "AUC", len(bins))


def _binned(series: pl.Series, kind: Kind) -> Codes:
    """The bin of each row, from 0 on."""
    if kind == "category":
        texts = series.to_frame().select(category_expression(series.name, series.dtype)).to_series()
        return texts.rank("dense").fill_null(0).to_numpy().astype(np.int64)
    numbers = series.to_physical().cast(pl.Float64).fill_nan(None)
    present = numbers.drop_nulls().to_numpy()
    if not len(present):
        return np.zeros(len(series), np.int64)
    edges = np.unique(np.quantile(present, np.arange(1, RANGES) / RANGES, method="inverted_cdf"))
    codes = np.searchsorted(edges, numbers.fill_null(0.0).to_numpy(), side="left") + 1
    return np.where(numbers.is_null().to_numpy(), 0, codes)


def _predictions(bins: Codes, half: Codes, target: Floats) -> Floats:
    """For each bin and half, the prediction learnt from the other half: float64 [bins, 2]."""
    cells = bins * 2 + half
    size = 2 * (int(bins.max()) + 1)
    rows = np.bincount(cells, minlength=size).reshape(-1, 2)
    sums = np.bincount(cells, weights=target, minlength=size).reshape(-1, 2)
    return np.asarray((sums[:, ::-1] + PRIOR_ROWS * target.mean()) / (rows[:, ::-1] + PRIOR_ROWS))


def _area(bins: Codes, half: Codes, target: Floats) -> float:
    """The area under the ROC curve, ties counted half, over both halves; at least 0.5."""
    predicted = _predictions(bins, half, target)
    areas = []
    for side in (0, 1):
        mine = half == side
        size = len(predicted)
        rows = np.bincount(bins[mine], minlength=size)
        positive = np.bincount(bins[mine], weights=target[mine], minlength=size)
        order = np.argsort(predicted[:, side], kind="stable")
        score, starts = np.unique(predicted[order, side], return_index=True)
        positives = np.add.reduceat(positive[order], starts)
        negatives = np.add.reduceat((rows - positive)[order], starts)
        pairs = positives.sum() * negatives.sum()
        if len(score) and pairs:
            below = np.cumsum(negatives) - negatives
            areas.append(float((positives * (below + negatives / 2)).sum() / pairs))
    return max(0.5, float(np.mean(areas))) if areas else 0.5


def _explained(bins: Codes, half: Codes, target: Floats) -> float:
    residual = target - _predictions(bins, half, target)[bins, half]
    variance = float(((target - target.mean()) ** 2).sum())
    return max(0.0, 1 - float((residual**2).sum()) / variance) if variance else 0.0


def _correlated(series: pl.Series, kind: Kind, target: Floats) -> float:
    """The squared correlation with the label where both are there, times the share of rows with a value."""
    if kind == "category":
        return 0.0
    numbers = series.to_physical().cast(pl.Float64).to_numpy()
    there = np.isfinite(numbers)
    if there.sum() < 3 or not numbers[there].std() or not target[there].std():
        return 0.0
    return float(np.corrcoef(numbers[there], target[there])[0, 1] ** 2 * there.mean())


def _checked(name: str, found: Power, is_feature: bool, project: Project) -> Check:
    limit = project.validation.limits.leakage
    rule = "leakage" if is_feature else "leakage_unused"
    more = " It decides the label: a copy of it, or what it was made from." if found.value >= PERFECT else ""
    if not is_feature:
        more += " It is not a feature; keep it so."
    return check(
        rule,
        name,
        found.value <= limit,
        f"{name} alone tells {project.data.label!r} with {found.measure} {found.value:.3f} on {found.rows:,} "
        f"rows; the limit is {limit:g}.{more if found.value > limit else ''}",
        value=found.value,
        limit=limit,
        rows=found.rows,
        advice=f"If {name} is known only after the prediction, take it out of features and list it in "
        "data.unavailable; if it is known before, set validation.severity.leakage: warning."
        if is_feature
        else f"List {name} in data.unavailable if it is known only after the prediction.",
    )
