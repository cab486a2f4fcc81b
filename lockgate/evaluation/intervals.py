"""Confidence intervals: DeLong for areas, Wilson for shares, the bootstrap for the rest.

All of them take rows as independent of each other. Rows of one day or one customer are alike, and then
the true uncertainty is larger.
"""

import math
from collections.abc import Sequence

import numpy as np

from lockgate.evaluation.metrics import METRICS, measure
from lockgate.evaluation.ranks import deviation, roc_auc_influence
from lockgate.evaluation.record import MetricValue
from lockgate.evaluation.resample import bootstrap
from lockgate.evaluation.scored import Floats, Scored
from lockgate.evaluation.wilson import Interval, normal_quantile, wilson

SHARES = ("accuracy", "precision", "recall")


def delong(scored: Scored, confidence: float) -> Interval | None:
    """Interval of ROC AUC by DeLong's standard error, within [0, 1]; None when a class is missing.

    Where the classes are told apart without an error, the standard error is 0 and says nothing. The lower
    end is then α^(1/k), α being (1 - confidence) / 2 and k the rows of the smallest class: below it, k
    independent pairs without an error would be less likely than α.
    """
    area, influence = roc_auc_influence(scored)
    if math.isnan(area):
        return None
    if area == 1.0:
        fewest = int(np.unique(scored.labels, return_counts=True)[1].min())
        return ((1 - confidence) / 2) ** (1 / fewest), 1.0
    half = normal_quantile(confidence) * deviation(influence, scored.labels)
    return max(0.0, area - half), min(1.0, area + half)


def share_interval(name: str, scored: Scored, confidence: float) -> Interval | None:
    """Wilson's interval of accuracy, precision or recall; None when there are no rows to take a share of."""
    right = scored.called == scored.labels
    whole = {
        "accuracy": np.ones(scored.rows, bool),
        "precision": scored.called == 1,
        "recall": scored.labels == 1,
    }
    rows = int(whole[name].sum())
    return wilson(int(right[whole[name]].sum()), rows, confidence) if rows else None


def percentiles(draws: Floats, confidence: float) -> Interval | None:
    """The middle `confidence` of bootstrap draws; None when fewer than half of them are defined."""
    known = draws[np.isfinite(draws)]
    if len(known) * 2 < len(draws) or not len(known):
        return None
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _drawn(name: str) -> bool:
    # A resample is always worse calibrated than the rows themselves: percentiles would mislead.
    return name not in SHARES and name not in ("roc_auc", "ece")


def interval(name: str, scored: Scored, confidence: float, resamples: int, seed: int) -> Interval | None:
    """The interval of one metric of one model; None for ECE and where the metric is not defined."""
    if name == "roc_auc":
        return delong(scored, confidence)
    if name in SHARES:
        return share_interval(name, scored, confidence)
    if not _drawn(name) or not scored.rows:
        return None
    return percentiles(bootstrap([scored], [name], resamples, seed)[0, name], confidence)


def scores(
    models: Sequence[Scored], confidence: float, resamples: int, seed: int
) -> list[tuple[MetricValue, ...]]:
    """All metrics of the task with their intervals, for models on the same rows, in the models' order."""
    names = METRICS[models[0].task]
    draws = bootstrap(models, [n for n in names if _drawn(n)], resamples, seed)
    return [tuple(_value(n, m, confidence, draws.get((i, n))) for n in names) for i, m in enumerate(models)]


def _value(name: str, scored: Scored, confidence: float, draws: Floats | None) -> MetricValue:
    value = measure(name, scored)
    if math.isnan(value):
        ends = None
    elif draws is not None:
        ends = percentiles(draws, confidence)
    else:
        ends = interval(name, scored, confidence, 0, 0)
    low, high = ends or (None, None)
    return MetricValue(name=name, value=value, rows=scored.rows, low=low, high=high)
