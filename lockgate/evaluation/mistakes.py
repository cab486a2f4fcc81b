"""The worst mistakes, as rows that a person can read."""

import math
from collections.abc import Sequence
from datetime import date, datetime

import numpy as np
import polars as pl

from lockgate.evaluation.record import Mistake
from lockgate.evaluation.scored import Floats, Ints, Scored
from lockgate.evaluation.terms import row_log_loss
from lockgate.report.numbers import number


def losses(scored: Scored) -> Floats:
    """[n]; how wrong each row is: its log loss, or the absolute error of a regression."""
    if scored.task == "regression":
        return np.asarray(np.abs(scored.predictions - scored.labels), dtype=np.float64)
    return row_log_loss(scored)


def worst(scored: Scored, count: int) -> Ints:
    """The places of the rows with the largest losses among those called wrong, the worst first.

    Binary: half of them are false positives and half false negatives, as far as there are so many;
    otherwise the kind with the surer scores would hide the other.
    """
    loss = losses(scored)
    order = np.lexsort((np.arange(scored.rows), -loss))
    if scored.task == "regression":
        return np.asarray(order[:count], dtype=np.int64)
    order = order[scored.called[order] != scored.labels[order]]
    if scored.task == "binary":
        alarms, missed = (order[scored.labels[order] == label] for label in (0, 1))
        half = max(count // 2, count - len(missed))
        chosen = np.r_[alarms[:half], missed[: count - min(half, len(alarms))]]
        order = chosen[np.argsort(-loss[chosen], kind="stable")]
    return np.asarray(order[:count], dtype=np.int64)


def mistakes(
    frame: pl.DataFrame,
    scored: Scored,
    keys: Sequence[str],
    features: Sequence[str],
    classes: Sequence[str],
    count: int,
) -> tuple[Mistake, ...]:
    """The worst mistakes with what names the row, what the model saw, and what it said.

    Args:
        frame: the raw rows, in the order of `scored`.
        scored: the network on these rows.
        keys: columns that name a row.
        features: columns that the model is fed.
        classes: names of the classes; none for a regression.
        count: how many at most.
    """
    places, loss = worst(scored, count), losses(scored)
    shown = [k for k in keys if k in frame.columns], [f for f in features if f in frame.columns]
    found = []
    for place in places.tolist():
        row = frame.row(place, named=True)
        truth = scored.labels[place]
        found.append(
            Mistake(
                keys=tuple((name, text(row[name])) for name in shown[0]),
                features=tuple((name, text(row[name])) for name in shown[1]),
                label=classes[int(truth)] if classes else number(float(truth), 6),
                called=_called(scored, place, classes),
                prediction=_prediction(scored, place),
                loss=float(loss[place]),
            )
        )
    return tuple(found)


def _called(scored: Scored, place: int, classes: Sequence[str]) -> str:
    if scored.task == "regression":
        return number(float(scored.predictions[place]), 6)
    return classes[int(scored.called[place])]


def _prediction(scored: Scored, place: int) -> float:
    if scored.task == "multiclass":
        return float(scored.predictions[place, scored.labels[place]])
    return float(scored.predictions[place])


def text(value: object) -> str:
    """A raw value as a person reads it; "" when it is missing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return number(value, 6)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="minutes")
    return value.isoformat() if isinstance(value, date) else str(value)
