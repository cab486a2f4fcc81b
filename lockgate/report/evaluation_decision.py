"""From scores to decisions: the threshold in the user's words, what it costs, what is taken for what."""

from math import isfinite
from typing import Any

from markupsafe import Markup

from lockgate.evaluation.record import Confusion, EvaluationRecord, Operating, Threshold
from lockgate.report import numbers
from lockgate.report.document import render
from lockgate.report.plots import Axis, Line, Mark, figure, lines

_MOST_CLASSES = 20
_PAIRS = 15
_TITLES = {
    "chosen": "Chosen threshold",
    "0.5": "Threshold 0.5",
    "always": "Always positive",
    "never": "Always negative",
}


def decision(record: EvaluationRecord) -> Markup:
    """The threshold, the cost curve, the ways to decide side by side, and the confusion matrix.

    Raises:
        ValueError: the record has no threshold.
    """
    if record.threshold is None:
        raise ValueError("the evaluation chose no threshold, so there is no decision to show")
    return render(
        "decision.html",
        threshold=record.threshold,
        cost=_cost(record.threshold),
        operating=[_operating(o) for o in record.threshold.operating],
        has_costs=any(o.cost is not None for o in record.threshold.operating),
        matrix=_matrix(record.confusion) if record.confusion else None,
        record=record,
    )


def _cost(threshold: Threshold) -> Markup | str:
    if not threshold.points:
        return ""
    points = [(p.threshold, p.cost) for p in threshold.points]
    unit = threshold.unit or "points"
    at = min(threshold.points, key=lambda p: abs(p.threshold - threshold.value))
    mark = Mark(at.threshold, f"chosen {numbers.number(threshold.value, 3)}", y=at.cost)
    picture = lines(
        [Line("cost", points, "var(--c1)")],
        Axis("threshold", low=0, high=1), Axis(f"{unit} per 1,000 rows", format="~s"),
        label=f"Cost by threshold; lowest chosen at {numbers.number(threshold.value, 3)}", marks=[mark],
    )  # fmt: skip
    return figure("Cost by threshold", picture)


def _operating(one: Operating) -> dict[str, Any]:
    positives = one.true_positives + one.false_negatives
    called = one.true_positives + one.false_positives
    return {
        "title": _TITLES.get(one.name, one.name),
        "one": one,
        "chosen": one.name == "chosen",
        "recall": one.true_positives / positives if positives else None,
        "precision": one.true_positives / called if called else None,
    }


def _matrix(confusion: Confusion) -> dict[str, Any]:
    rows = []
    for name, counts in zip(confusion.classes, confusion.counts, strict=True):
        total = sum(counts)
        rows.append({"name": name, "total": total,
                     "cells": [(n, n / total if total else 0.0) for n in counts]})  # fmt: skip
    return {"classes": confusion.classes, "rows": rows}


def confusion(record: EvaluationRecord) -> Markup:
    """Multiclass: how each class is recognised, and what it is taken for.

    With many classes the matrix gives way to a list of the pairs most often confused.
    """
    found = record.confusion
    small = found is not None and len(found.classes) <= _MOST_CLASSES
    pairs: list[tuple[str, str, int, float]] = []
    if found is not None and not small:
        pairs = [
            (true, called, n, n / max(sum(row), 1))
            for true, row in zip(found.classes, found.counts, strict=True)
            for called, n in zip(found.classes, row, strict=True)
            if n and called != true
        ]
        pairs = sorted(pairs, key=lambda p: -p[2])[:_PAIRS]
    return render(
        "classes.html",
        classes=sorted(record.per_class, key=lambda c: c.f1 if isfinite(c.f1) else -1.0),
        matrix=_matrix(found) if found is not None and small else None,
        pairs=pairs,
    )
