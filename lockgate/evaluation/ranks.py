"""Metrics that depend on the order of the rows: ROC AUC with DeLong's errors, average precision, medians."""

import numpy as np

from lockgate.evaluation.scored import Floats, Scored


def auc_influence(labels: Floats, scores: Floats) -> tuple[float, Floats]:
    """ROC AUC, and how much each row moves it.

    The influences have mean zero; for two scores on the same rows, `cov(a, b) / n` of their influences
    is DeLong's covariance of the two AUCs. DeLong, DeLong and Clarke-Pearson, 1988, equations 4 to 8;
    placements by midranks as in Sun and Xu, 2014.

    Args:
        labels: [n], 1 for positive.
        scores: [n].

    Returns:
        The AUC (NaN when a class is missing) and the influences, [n].
    """
    positive = labels == 1
    m, n = int(positive.sum()), int((~positive).sum())
    if not m or not n:
        return float("nan"), np.zeros(len(labels))
    ranks = midranks(scores)
    area = float((ranks[positive].sum() - m * (m + 1) / 2) / (m * n))
    influence = np.empty(len(labels))
    # A positive row's placement: the share of the negative rows it beats; and the other way round.
    influence[positive] = ((ranks[positive] - midranks(scores[positive])) / n - area) * (m + n) / m
    beaten_by = 1 - (ranks[~positive] - midranks(scores[~positive])) / m
    influence[~positive] = (beaten_by - area) * (m + n) / n
    return area, influence


def deviation(influence: Floats, labels: Floats) -> float:
    """The standard error of an AUC (or of a difference of two), from its influences.

    The rows of each class vary on their own; each variance is over the class's rows less one, as in DeLong.
    """
    total = 0.0
    for label in np.unique(labels):
        part = influence[labels == label]
        if len(part) > 1:
            total += float(part.var(ddof=1)) * len(part) / len(labels) ** 2
    return float(np.sqrt(total))


def macro_auc_influence(labels: Floats, probabilities: Floats) -> tuple[float, Floats]:
    """The mean of the one-against-the-rest AUCs over the classes that occur (Provost and Domingos, 2000).

    Args:
        labels: [n], class indices.
        probabilities: [n, k].

    Returns:
        The mean AUC (NaN when fewer than two classes occur) and the influences of its rows, [n].
    """
    parts = [
        auc_influence((labels == k).astype(np.float64), probabilities[:, k])
        for k in range(probabilities.shape[1])
    ]
    known = [(area, influence) for area, influence in parts if not np.isnan(area)]
    if not known:
        return float("nan"), np.zeros(len(labels))
    areas, influences = zip(*known, strict=True)
    return float(np.mean(areas)), np.mean(influences, axis=0)


def roc_auc_influence(scored: Scored) -> tuple[float, Floats]:
    """ROC AUC and its influences, for binary and multiclass tasks."""
    if scored.task == "binary":
        return auc_influence(scored.labels, scored.predictions)
    return macro_auc_influence(scored.labels, scored.predictions)


def midranks(values: Floats) -> Floats:
    """Ranks from 1, equal values sharing the mean of their ranks."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(values) else np.zeros(0, int)
    ends = np.r_[starts[1:], len(values)]
    ranks = np.empty(len(values))
    ranks[order] = np.repeat((starts + ends + 1) / 2, ends - starts)
    return ranks


def average_precision(scored: Scored, weights: Floats) -> Floats:
    """Area under the precision-recall curve as a sum of steps, Σ (R_k - R_{k-1})·P_k, ties taken together.

    Args:
        scored: binary rows.
        weights: [b, n]; how often each row counts, one line a resample.

    Returns:
        [b]; NaN where no positive row has weight.
    """
    order = np.argsort(-scored.predictions, kind="stable")
    scores = scored.predictions[order]
    hit = np.flatnonzero(scored.labels[order] == 1)
    # Where the run of rows with a positive row's score ends: among all rows, and among the positive ones.
    end = np.searchsorted(-scores, -scores[hit], side="right") - 1
    end_of_hits = np.searchsorted(hit, end, side="right") - 1
    exact = np.float32 if scored.rows < 2**22 else np.float64
    ordered = weights[:, order]
    gained = ordered[:, hit]
    total = np.cumsum(ordered, axis=1, dtype=exact)[:, end]
    hits = np.cumsum(gained, axis=1, dtype=exact)
    if not len(hit):
        return np.full(len(weights), np.nan)
    # Weights are whole, so total is at least 1 wherever gained is not 0.
    steps = np.einsum("bi,bi->b", gained, hits[:, end_of_hits] / np.maximum(total, 1), dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return np.asarray(steps / hits[:, -1], dtype=np.float64)


def median_error(scored: Scored, weights: Floats) -> Floats:
    """The median of |prediction - actual| under each line of weights, [b]; weights [b, n] are whole numbers.

    For an even number of rows it is the mean of the two in the middle.
    """
    errors = np.abs(scored.predictions - scored.labels)
    order = np.argsort(errors, kind="stable")
    reached = np.cumsum(weights[:, order], axis=1, dtype=np.float64)
    half = reached[:, -1:] / 2
    lower = (reached < half).sum(axis=1)
    upper = (reached <= half).sum(axis=1)
    ordered = np.append(errors[order], np.nan)
    middle: Floats = (ordered[lower] + ordered[np.minimum(upper, len(errors) - 1)]) / 2
    return middle
