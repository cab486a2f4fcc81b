"""Permutation importance: how much worse the model gets when one raw column says nothing any more."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lockgate.evaluation.metrics import gain, measure
from lockgate.evaluation.record import Importance
from lockgate.evaluation.scored import Floats, Scored, Task

Tensors = Mapping[str, NDArray[Any]]
BUDGET = 1_200_000


def importance(
    predict: Callable[[Tensors], Floats],
    tensors: Tensors,
    labels: NDArray[Any],
    *,
    task: Task,
    metric: str,
    threshold: float,
    rows: int,
    repeats: int,
    seed: int,
) -> tuple[Importance, ...]:
    """Shuffles each raw column among the rows and measures again (Breiman, 2001, section 10).

    Columns that say the same as another one look less important than they are.

    Args:
        predict: the exported model; raw tensors in, predictions out.
        tensors: the raw tensors of the test rows, by column.
        labels: [n].
        task: of the model.
        metric: the main metric; importance is how much worse it gets.
        threshold: of binary decisions.
        rows: how many rows at most, drawn once; fewer when rows · columns · repeats would pass 1.2 million.
        repeats: shuffles of each column.
        seed: of the draw and the shuffles.

    Returns:
        One entry a column, the most important first.
    """
    rng = np.random.default_rng(seed)
    count = min(len(labels), rows, max(BUDGET // max(len(tensors) * repeats, 1), 1000))
    drawn = np.sort(rng.choice(len(labels), size=count, replace=False))
    part = {name: values[drawn] for name, values in tensors.items()}
    truth = labels[drawn]

    def score(fed: Tensors) -> float:
        return measure(metric, Scored(task, truth, predict(fed), threshold))

    whole = score(part)
    found = []
    for name, values in part.items():
        drops = [gain(metric, whole, score({**part, name: rng.permutation(values)})) for _ in range(repeats)]
        spread = float(np.std(drops, ddof=1)) if repeats > 1 else 0.0
        found.append(
            Importance(column=name, mean=float(np.mean(drops)), sd=spread, repeats=repeats, rows=count)
        )
    return tuple(sorted(found, key=lambda entry: -entry.mean))
