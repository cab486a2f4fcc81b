"""How far the network's answers lie from the champion's on the same rows, whoever of them is right.

A rollout holds live answers against it: models that were judged to differ by so much may differ by so much.
"""

import math

import numpy as np
from numpy.typing import NDArray

from lockgate.evaluation.record import Difference
from lockgate.evaluation.scored import Floats, Scored
from lockgate.evaluation.wilson import wilson

# The bounds of the model server's histogram of probabilities, without the last, which nothing exceeds.
BOUNDS = tuple(round(i / 20, 2) for i in range(1, 20))
CHANCE = 0.05


def difference(ours: Scored, theirs: Scored, other: str) -> Difference:
    """The difference of two models on the same rows, each deciding by its own threshold.

    `labels`: the share of rows that are decided otherwise; 0 for a regression. `size`: the mean absolute
    difference of the score, which is the probability of the positive class, the highest probability (of
    several classes), or the prediction over the labels' standard deviation, at most 1. `distance`: the
    largest difference of the two scores' distributions (Kolmogorov-Smirnov), over the bounds of the
    model server's histogram and, of several classes, the share of rows that are called each; over all
    values for a regression.

    The upper bounds hold with 95 %: of `labels` by Wilson (1927); of `size` by the empirical Bernstein
    bound of Maurer and Pontil (2009, Theorem 4), which needs nothing but values in [0, 1]; of `distance`
    by the same at every bound at once (Bonferroni), as the two models' rows are pairs; for a regression
    by the inequality of Dvoretzky, Kiefer and Wolfowitz with Massart's constant (1990), for each of the
    two distributions.

    Args:
        ours: the network on the test rows.
        theirs: the champion on the same rows.
        other: the champion's digest.
    """
    rows = ours.rows
    unlike = 0 if ours.task == "regression" else int((ours.called != theirs.called).sum())
    apart = np.minimum(np.abs(_scores(ours) - _scores(theirs)), 1.0)
    distance, distance_high = _distance(ours, theirs)
    return Difference(
        other=other,
        rows=rows,
        labels=unlike / rows,
        # A two-sided interval of 90 %, whose upper end is exceeded with 5 %.
        labels_high=0.0 if ours.task == "regression" else wilson(unlike, rows, 1 - 2 * CHANCE)[1],
        size=float(apart.mean()),
        size_high=min(1.0, float(apart.mean()) + _bernstein(apart, 1.0, CHANCE)),
        distance=distance,
        distance_high=distance_high,
    )


def _scores(scored: Scored) -> Floats:
    """[n]; what the model server counts of a row, in [0, 1] or in standard deviations of the label."""
    match scored.task:
        case "binary":
            return scored.predictions
        case "multiclass":
            return np.asarray(scored.predictions.max(axis=1), dtype=np.float64)
        case "regression":
            return scored.predictions / (float(np.std(scored.labels)) or 1.0)


def _distance(ours: Scored, theirs: Scored) -> tuple[float, float]:
    """The distance and its upper bound."""
    if ours.task == "regression":
        sorted_ = [np.sort(_scores(each)) for each in (ours, theirs)]
        points = np.concatenate(sorted_)
        below = [np.searchsorted(each, points, side="right") / ours.rows for each in sorted_]
        found = float(np.abs(below[0] - below[1]).max())
        return found, min(1.0, found + 2 * math.sqrt(math.log(4 / CHANCE) / (2 * ours.rows)))
    steps = _cuts(ours).astype(np.float64) - _cuts(theirs)
    found = float(np.abs(steps.mean(axis=0)).max())
    # Each cut in both directions.
    chance = CHANCE / (2 * steps.shape[1])
    highs = [abs(float(step.mean())) + _bernstein(step, 2.0, chance) for step in steps.T]
    return found, min(1.0, max(highs))


def _cuts(scored: Scored) -> NDArray[np.bool_]:
    """[n, cuts]; whether a row is on the lower side of each bound, or called each of several classes."""
    sides = _scores(scored)[:, None] <= np.array(BOUNDS)
    if scored.task == "multiclass":
        sides = np.concatenate([sides, scored.called[:, None] == np.arange(scored.classes)], axis=1)
    return sides


def _bernstein(values: Floats, spread: float, chance: float) -> float:
    """What the mean of such values may lie above the one seen, but for this chance.

    Args:
        values: [n], of a range of `spread`.
        spread: largest minus smallest possible value.
        chance: that it lies higher.
    """
    n = len(values)
    if n < 2:
        return spread
    log = math.log(2 / chance)
    return math.sqrt(2 * float(values.var(ddof=1)) * log / n) + 7 * spread * log / (3 * (n - 1))
