"""Cross-validation for small data: which row lies in which fold, and the network's score on each."""

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lockgate.training.record import Folds

Places = npt.NDArray[np.int64]


def assign(
    labels: npt.NDArray[Any],
    folds: int,
    seed: int,
    *,
    groups: Sequence[str] | None = None,
    by_class: bool = True,
) -> Places:
    """The fold of each row, 0 to `folds` - 1.

    With groups, a group's rows share a fold, by a hash of its name and the seed. Without, folds are of equal
    size, and of equal shares of every class where labels are classes.

    Args:
        labels: [n].
        folds: how many.
        seed: of the order.
        groups: [n], the group of each row.
        by_class: whether the labels are classes.
    """
    if groups is not None:
        return np.array([zlib.crc32(f"{seed}:{group}".encode()) % folds for group in groups], dtype=np.int64)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    if by_class:
        order = order[np.argsort(labels[order], kind="stable")]
    found = np.empty(len(labels), dtype=np.int64)
    found[order] = np.arange(len(labels)) % folds
    return found


def parts(fold_of: Places, fold: int, folds: int) -> tuple[Places, Places, Places]:
    """The rows to train on, to stop early by, and to score: the score's fold is seen by neither.

    With two folds there is none left to stop by; then the last fifth of the training rows is.
    """
    score = np.flatnonzero(fold_of == fold)
    if folds == 2:
        rest = np.flatnonzero(fold_of != fold)
        cut = max(1, len(rest) // 5)
        return rest[:-cut], rest[-cut:], score
    stop = (fold + 1) % folds
    train = np.flatnonzero((fold_of != fold) & (fold_of != stop))
    return train, np.flatnonzero(fold_of == stop), score


def cross_validate(
    model: str, fold_of: Places, folds: int, score: Callable[[Places, Places, Places], float]
) -> Folds:
    """Scores one model on every fold.

    Args:
        model: its name.
        fold_of: the fold of each row.
        folds: how many there are.
        score: trains on the first rows, stops early by the second, and gives the metric on the third.
    """
    return summary(model, [score(*parts(fold_of, fold, folds)) for fold in range(folds)])


def summary(model: str, scores: Sequence[float]) -> Folds:
    """Mean and standard deviation (n - 1) of the scores of a model."""
    values = np.asarray(scores, dtype=np.float64)
    return Folds(
        model=model,
        scores=tuple(float(v) for v in values),
        mean=float(values.mean()),
        deviation=float(values.std(ddof=1)) if len(values) > 1 else 0.0,
    )


FILE = "folds.npy"
