"""Metrics that are functions of means: what each row adds, and how the means become the metric.

A metric of this kind is `combine(terms.mean(axis=0))`. A bootstrap resample is then one product of
weights with terms, for all resamples at once, instead of one pass over the rows for each.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lockgate.evaluation.scored import Floats, Scored

ECE_BINS = 15
SMALLEST = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Terms:
    """What each row adds to a metric.

    Attributes:
        rows: [n, t].
        combine: turns means [..., t] into the metric [...]; NaN where it is not defined.
    """

    rows: Floats
    combine: Callable[[Floats], Floats]


def _mean(rows: Floats) -> Terms:
    return Terms(rows[:, None], lambda m: m[..., 0])


def _share(part: Floats, whole: Floats) -> Terms:
    return Terms(np.stack([part, whole], axis=1), lambda m: _ratio(m[..., 0], m[..., 1]))


def _ratio(part: Floats, whole: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole > 0, part / whole, np.nan)


def log_loss(scored: Scored) -> Terms:
    """-ln of the probability given to the true class, probabilities clipped to [1.2e-7, 1 - 1.2e-7]."""
    return _mean(row_log_loss(scored))


def row_log_loss(scored: Scored) -> Floats:
    """[n]; the log loss of each row, in nats; classification only."""
    p = scored.predictions
    if scored.task == "binary":
        p = np.where(scored.labels == 1, p, 1 - p)
    else:
        p = p[np.arange(scored.rows), scored.labels]
    return -np.log(np.clip(p, SMALLEST, 1 - SMALLEST))


def brier(scored: Scored) -> Terms:
    """Squared difference of probability and outcome (Brier, 1950)."""
    return _mean((scored.predictions - scored.labels) ** 2)


def ece(scored: Scored) -> Terms:
    """Expected calibration error over 15 bins of equal width (Guo et al., 2017, equation 3).

    The share of rows in a bin times |observed share - mean probability| is |mean of (label - p)| there.
    """
    bins = np.clip((scored.predictions * ECE_BINS).astype(np.int64), 0, ECE_BINS - 1)
    rows = np.zeros((scored.rows, ECE_BINS))
    rows[np.arange(scored.rows), bins] = scored.labels - scored.predictions
    return Terms(rows, lambda m: np.abs(m).sum(axis=-1))


def accuracy(scored: Scored) -> Terms:
    """Share of rows whose class is called right."""
    return _mean((scored.called == scored.labels).astype(np.float64))


def precision(scored: Scored) -> Terms:
    """Of the rows called positive, the share that are; not defined when none is called positive."""
    called = scored.called.astype(np.float64)
    return _share(called * scored.labels, called)


def recall(scored: Scored) -> Terms:
    """Of the positive rows, the share called positive; not defined when there are none."""
    labels = scored.labels.astype(np.float64)
    return _share(scored.called.astype(np.float64) * labels, labels)


def f1(scored: Scored) -> Terms:
    """2·TP / (2·TP + FP + FN), the harmonic mean of precision and recall."""
    called, labels = scored.called.astype(np.float64), scored.labels.astype(np.float64)
    return _share(2 * called * labels, called + labels)


def _per_class(scored: Scored) -> tuple[Floats, Floats]:
    each = np.arange(scored.classes)
    return (scored.labels[:, None] == each).astype(float), (scored.called[:, None] == each).astype(float)


def balanced_accuracy(scored: Scored) -> Terms:
    """Mean recall over the classes that occur among the labels."""
    true, called = _per_class(scored)
    return _averaged(true * called, true)


def macro_f1(scored: Scored) -> Terms:
    """Mean F1 over the classes that occur among the labels or are called."""
    true, called = _per_class(scored)
    return _averaged(2 * true * called, true + called)


def _averaged(part: Floats, whole: Floats) -> Terms:
    k = part.shape[1]

    def combine(means: Floats) -> Floats:
        shares = _ratio(means[..., :k], means[..., k:])
        known = ~np.isnan(shares)
        return _ratio(np.where(known, shares, 0).sum(axis=-1), known.sum(axis=-1).astype(np.float64))

    return Terms(np.concatenate([part, whole], axis=1), combine)


def rmse(scored: Scored) -> Terms:
    """Root of the mean squared error, in the label's unit."""
    terms = _mean((scored.predictions - scored.labels) ** 2)
    return Terms(terms.rows, lambda m: np.sqrt(m[..., 0]))


def mae(scored: Scored) -> Terms:
    """Mean absolute error, in the label's unit."""
    return _mean(np.abs(scored.predictions - scored.labels))


def mape(scored: Scored) -> Terms:
    """Mean of |error / label|; not defined when a label is zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        rows = np.abs((scored.predictions - scored.labels) / scored.labels)
    return _mean(np.where(scored.labels == 0, np.nan, rows))


def r2(scored: Scored) -> Terms:
    """1 - squared error / variance of the labels; not defined when all labels are equal."""
    # Centred before squaring: mean(y²) - mean(y)² loses its digits when the labels are far from zero.
    labels = scored.labels - scored.labels.mean()
    rows = np.stack([(scored.predictions - scored.labels) ** 2, labels, labels**2], axis=1)
    return Terms(rows, lambda m: 1 - _ratio(m[..., 0], m[..., 2] - m[..., 1] ** 2))


TERMS: dict[str, Callable[[Scored], Terms]] = {
    f.__name__: f
    for f in (
        *(log_loss, brier, ece, accuracy, precision, recall, f1),
        *(balanced_accuracy, macro_f1, rmse, mae, mape, r2),
    )
}
