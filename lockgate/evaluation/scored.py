"""Labels and one model's predictions on the same rows: what every metric is computed from."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Task = Literal["binary", "multiclass", "regression"]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Scored:
    """The rows that a model is scored on.

    Attributes:
        task: decides the meaning of the arrays.
        labels: [n]; 0 or 1 (binary), the class's index (multiclass), the value (regression).
        predictions: [n] probability of the positive class, [n, k] probabilities, or [n] values.
        threshold: binary: scores at or above it count as positive.
    """

    task: Task
    labels: NDArray[Any]
    predictions: Floats
    threshold: float = 0.5

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.labels)

    @property
    def classes(self) -> int:
        """How many classes the predictions tell apart; 0 for regression."""
        if self.task == "multiclass":
            return int(self.predictions.shape[1])
        return 2 if self.task == "binary" else 0

    @property
    def called(self) -> Ints:
        """The class that each row is called, [n]; classification only."""
        if self.task == "binary":
            return (self.predictions >= self.threshold).astype(np.int64)
        return np.asarray(self.predictions.argmax(axis=1), dtype=np.int64)

    def take(self, rows: NDArray[Any]) -> "Scored":
        """The same model on some of the rows, given by a mask or by indices."""
        return replace(self, labels=self.labels[rows], predictions=self.predictions[rows])

    def at(self, threshold: float) -> "Scored":
        """The same rows decided at another threshold."""
        return replace(self, threshold=threshold)

    def finite(self) -> NDArray[np.bool_]:
        """[n]; which rows have predictions without NaN and infinity."""
        return np.asarray(np.isfinite(self.predictions.reshape(self.rows, -1)).all(axis=1), dtype=np.bool_)


def confusion(scored: Scored) -> Ints:
    """[k, k]; entry (i, j) counts the rows of true class i that are called class j."""
    k = scored.classes
    cells = scored.labels.astype(np.int64) * k + scored.called
    return np.asarray(np.bincount(cells, minlength=k * k), dtype=np.int64).reshape(k, k)


def shared_finite(models: Iterable[Scored]) -> NDArray[np.bool_]:
    """[n]; the rows on which every model's predictions are finite."""
    return np.asarray(np.logical_and.reduce([m.finite() for m in models]), dtype=np.bool_)
