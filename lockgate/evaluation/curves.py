"""What is drawn of a model: ROC, precision-recall and calibration curves, score histograms, residuals."""

from collections.abc import Mapping, Sequence

import numpy as np

from lockgate.evaluation.metrics import measure
from lockgate.evaluation.record import CalibrationBin, Curve, Histogram, Residuals
from lockgate.evaluation.scored import Floats, Scored
from lockgate.evaluation.wilson import wilson

POINTS = 200
BINS = 40
CALIBRATION_BINS = 10
LEVELS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
DOTS = 1000


def curves(series: Mapping[str, Scored]) -> tuple[Curve, ...]:
    """ROC and precision-recall curves of series of binary scores; without those that hold one class only."""
    drawable = {n: s for n, s in series.items() if 0 < (s.labels == 1).sum() < s.rows}
    return tuple(_roc(n, s) for n, s in drawable.items()) + tuple(
        _precision_recall(n, s) for n, s in drawable.items()
    )


def against_the_rest(scored: Scored, classes: Sequence[str]) -> dict[str, Scored]:
    """Each class of a multiclass model as a binary series of its own."""
    return {
        name: Scored("binary", (scored.labels == k).astype(np.int64), scored.predictions[:, k])
        for k, name in enumerate(classes)
    }


def _counts(scored: Scored) -> tuple[Floats, Floats]:
    """True and false positives at every different score, the highest first."""
    order = np.argsort(-scored.predictions, kind="stable")
    scores, labels = scored.predictions[order], scored.labels[order]
    ends = np.flatnonzero(np.r_[scores[1:] != scores[:-1], True])
    return np.cumsum(labels == 1)[ends].astype(np.float64), np.cumsum(labels != 1)[ends].astype(np.float64)


def _roc(name: str, scored: Scored) -> Curve:
    hits, alarms = _counts(scored)
    x, y = thinned(np.r_[0, alarms / alarms[-1]], np.r_[0, hits / hits[-1]])
    return Curve(kind="roc", series=name, x=tuple(x), y=tuple(y), area=measure("roc_auc", scored))


def _precision_recall(name: str, scored: Scored) -> Curve:
    hits, alarms = _counts(scored)
    x, y = thinned(hits / hits[-1], hits / (hits + alarms))
    return Curve(kind="precision_recall", series=name, x=tuple(x), y=tuple(y), area=measure("pr_auc", scored))


def thinned(x: Floats, y: Floats) -> tuple[list[float], list[float]]:
    """At most 200 of a curve's points, evenly along its way, the first and the last among them."""
    if len(x) > POINTS:
        way = np.r_[0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))]
        kept = np.unique(np.searchsorted(way, np.linspace(0, way[-1], POINTS)).clip(0, len(x) - 1))
        kept = np.unique(np.r_[0, kept[kept < len(x) - 1], len(x) - 1])[:POINTS]
        kept[-1] = len(x) - 1
        x, y = x[kept], y[kept]
    return x.tolist(), y.tolist()


def calibration(scored: Scored, confidence: float) -> tuple[CalibrationBin, ...]:
    """Ten bins of about as many rows each, by predicted probability; equal probabilities stay together."""
    if scored.task == "regression" or not scored.rows:
        return ()
    if scored.task == "binary":
        series, p, right = "network", scored.predictions, scored.labels == 1
    else:
        series, p, right = "top class", scored.predictions.max(axis=1), scored.called == scored.labels
    edges = np.unique(np.quantile(p, np.linspace(0, 1, CALIBRATION_BINS + 1)))
    place = np.searchsorted(edges[1:-1], p, side="right")
    bins = []
    for k in np.unique(place):
        inside = place == k
        rows, hits = int(inside.sum()), int(right[inside].sum())
        low, high = wilson(hits, rows, confidence)
        mean = float(p[inside].mean())
        bins.append(
            CalibrationBin(series=series, predicted=mean, observed=hits / rows, low=low, high=high, rows=rows)
        )
    return tuple(bins)


def histograms(scored: Scored) -> tuple[Histogram, ...]:
    """Scores by true class (binary), top probabilities of right and wrong calls (multiclass), residuals."""
    if not scored.rows:
        return ()
    if scored.task == "regression":
        residual = scored.predictions - scored.labels
        low, high = np.quantile(residual, [0.005, 0.995])
        # The outermost bins also hold what lies beyond them, so that one outlier does not flatten the rest.
        return (_histogram("residual", residual.clip(low, high), float(low), float(high)),)
    if scored.task == "binary":
        parts = {"negative": scored.labels != 1, "positive": scored.labels == 1}
        p = scored.predictions
    else:
        right = scored.called == scored.labels
        parts, p = {"right": right, "wrong": ~right}, scored.predictions.max(axis=1)
    return tuple(_histogram(name, p[part], 0.0, 1.0) for name, part in parts.items())


def _histogram(series: str, values: Floats, low: float, high: float) -> Histogram:
    counts, edges = np.histogram(values, bins=BINS, range=(low, high))
    return Histogram(series=series, edges=tuple(edges.tolist()), counts=tuple(counts.tolist()))


def residuals(scored: Scored) -> Residuals | None:
    """How far a regression is off; None for other tasks."""
    if scored.task != "regression" or not scored.rows:
        return None
    residual = scored.predictions - scored.labels
    places = np.unique(np.linspace(0, scored.rows - 1, DOTS).round().astype(int))
    shown = np.argsort(scored.labels, kind="stable")[places]
    return Residuals(
        actual=tuple(scored.labels[shown].tolist()),
        predicted=tuple(scored.predictions[shown].tolist()),
        levels=LEVELS,
        quantiles=tuple(np.quantile(residual, LEVELS).tolist()),
        mean=float(residual.mean()),
        sd=float(residual.std()),
    )
