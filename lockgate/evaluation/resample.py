"""The bootstrap: how metrics would vary over other samples of rows (Efron, 1979)."""

from collections.abc import Iterator, Sequence

import numpy as np

from lockgate.evaluation.ranks import average_precision, median_error
from lockgate.evaluation.scored import Floats, Scored
from lockgate.evaluation.terms import TERMS

CHUNK = 2_000_000
LARGEST = 60_000_000
FEWEST = 200


def resamples_for(rows: int, wanted: int) -> int:
    """How many resamples to draw: as wanted, or fewer to keep rows · resamples below 60 million.

    With so many rows the intervals are narrow, and 200 resamples (the fewest) place their ends well enough.
    """
    return min(wanted, max(FEWEST, LARGEST // max(rows, 1)))


def weights(rows: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each row is drawn, [b, rows] as float32, in chunks that add up to `resamples` lines."""
    rng = np.random.default_rng(seed)
    at_once = max(1, CHUNK // max(rows, 1))
    for start in range(0, resamples, at_once):
        b = min(at_once, resamples - start)
        drawn = rng.integers(0, rows, size=(b, rows)) + np.arange(b)[:, None] * rows
        counts = np.bincount(drawn.ravel(), minlength=b * rows).reshape(b, rows)
        yield counts.astype(np.float32)


def bootstrap(
    models: Sequence[Scored], names: Sequence[str], resamples: int, seed: int
) -> dict[tuple[int, str], Floats]:
    """Draws each metric of each model on the same resampled rows, so that differences are paired.

    Args:
        models: on the same rows in the same order.
        names: metrics of the task, ROC AUC excepted (DeLong's closed form is exact enough and faster).
        resamples: how many draws are wanted; see `resamples_for`.
        seed: of the draws.

    Returns:
        By (model's position, metric): [resamples]; NaN where a resample does not define the metric.
    """
    rows = models[0].rows
    summed = [n for n in names if n in TERMS]
    terms = [{n: TERMS[n](m) for n in summed} for m in models]
    columns = [t.rows for of_model in terms for t in of_model.values()]
    matrix = (
        np.concatenate(columns, axis=1).astype(np.float32) if columns else np.zeros((rows, 0), np.float32)
    )
    draws: dict[tuple[int, str], list[Floats]] = {(i, n): [] for i in range(len(models)) for n in names}
    for chunk in weights(rows, resamples_for(rows, resamples), seed):
        means = (chunk @ matrix).astype(np.float64) / rows
        start = 0
        for i, of_model in enumerate(terms):
            for name, term in of_model.items():
                stop = start + term.rows.shape[1]
                draws[i, name].append(term.combine(means[:, start:stop]))
                start = stop
            if "pr_auc" in names:
                draws[i, "pr_auc"].append(average_precision(models[i], chunk))
            if "median_ae" in names:
                draws[i, "median_ae"].append(median_error(models[i], chunk))
    return {key: np.concatenate(parts) for key, parts in draws.items()}
