"""Two models on the same rows: how much better one is, and how sure that is."""

import math
from statistics import NormalDist

import numpy as np

from lockgate.evaluation.metrics import gain, higher_is_better, measure
from lockgate.evaluation.ranks import deviation, roc_auc_influence
from lockgate.evaluation.record import Comparison, Role
from lockgate.evaluation.resample import bootstrap
from lockgate.evaluation.scored import Floats, Scored
from lockgate.evaluation.wilson import normal_quantile


def compare(
    name: str,
    ours: Scored,
    theirs: Scored,
    *,
    other: str,
    role: Role,
    confidence: float,
    resamples: int,
    seed: int,
) -> Comparison:
    """Compares a metric of two models by a paired test: DeLong's for ROC AUC, the bootstrap for the rest.

    Args:
        name: the metric.
        ours: the network on some rows.
        theirs: the other model on the same rows in the same order.
        other: the other model's name.
        role: the other model's role.
        confidence: of the two-sided interval of the gain.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    values = measure(name, ours), measure(name, theirs)
    if name == "roc_auc":
        low, high, p_value = _delong(ours, theirs, confidence)
        test = "DeLong"
    else:
        draws = bootstrap([ours, theirs], [name], resamples, seed)
        sign = 1 if higher_is_better(name) else -1
        low, high, p_value = _paired(sign * (draws[0, name] - draws[1, name]), confidence)
        test = f"paired bootstrap, {len(draws[0, name]):,} resamples"
    return Comparison(
        other=other,
        role=role,
        metric=name,
        ours=values[0],
        theirs=values[1],
        gain=gain(name, *values),
        low=low,
        high=high,
        p_value=p_value,
        test=test,
        rows=ours.rows,
    )


def _delong(ours: Scored, theirs: Scored, confidence: float) -> tuple[float, float, float]:
    """Interval and two-sided p-value of the difference of two correlated AUCs (DeLong et al., 1988)."""
    a, influence = roc_auc_influence(ours)
    b, other = roc_auc_influence(theirs)
    error = deviation(influence - other, ours.labels)
    if error == 0 or math.isnan(a - b):
        return a - b, a - b, 1.0 if a == b else math.nan if math.isnan(a - b) else 0.0
    half = normal_quantile(confidence) * error
    p_value = 2 * NormalDist().cdf(-abs(a - b) / error)
    return a - b - half, a - b + half, p_value


def _paired(draws: Floats, confidence: float) -> tuple[float, float, float]:
    """Percentile interval of the paired differences, and the p-value that belongs to it.

    The p-value is twice the share of draws on the far side of zero, one draw added to both counts
    (Davison and Hinkley, 1997, section 4.4), so it is never below 2 / (draws + 1).
    """
    known = draws[np.isfinite(draws)]
    if not len(known):
        return math.nan, math.nan, math.nan
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    side = min((known <= 0).sum(), (known >= 0).sum())
    return float(low), float(high), min(1.0, 2 * (float(side) + 1) / (len(known) + 1))
