"""Are groups treated alike? What each group gets from the model, and the largest gaps between groups."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lockgate.evaluation.intervals import interval
from lockgate.evaluation.metrics import measure
from lockgate.evaluation.record import Fairness, Gap, GroupRate
from lockgate.evaluation.scored import Scored
from lockgate.evaluation.slices import Part
from lockgate.evaluation.wilson import Interval, normal_quantile, wilson

MIN_ROWS = 30


@dataclass(frozen=True)
class Rate:
    """A rate of one group, with an interval and the rows it is taken over."""

    name: str
    value: float
    low: float
    high: float
    rows: int


def fairness(
    column: str,
    groups: Sequence[Part],
    scored: Scored,
    metric: str,
    confidence: float,
    resamples: int,
    seed: int,
) -> Fairness:
    """The rates of each group, and the largest gap between two groups for each rate.

    A rate over fewer than 30 rows is not judged. A gap's interval comes from those of the two rates
    (square-and-add: Newcombe, 1998, method 10; Zou and Donner, 2008) and allows for the choice of the
    extreme pair among all pairs (Bonferroni).
    """
    pairs = max(len(groups) * (len(groups) - 1) // 2, 1)
    how = (1 - (1 - confidence) / pairs, resamples, seed)
    rates = {part.value: _rates(scored.take(part.rows), metric, *how) for part in groups}
    shown = tuple(_group(part, {r.name: r for r in rates[part.value]}, metric) for part in groups)
    names = dict.fromkeys(r.name for of_group in rates.values() for r in of_group)
    gaps = [
        _gap(name, {g: r for g, found in rates.items() for r in found if r.name == name}) for name in names
    ]
    return Fairness(column=column, groups=shown, gaps=tuple(g for g in gaps if g is not None))


def _rates(scored: Scored, metric: str, confidence: float, resamples: int, seed: int) -> list[Rate]:
    found = []
    if scored.rows >= MIN_ROWS and not math.isnan(value := measure(metric, scored)):
        ends = interval(metric, scored, confidence, resamples, seed)
        if ends is not None:
            found.append(Rate(metric, value, *ends, scored.rows))
    if scored.task == "regression":
        return found + _mean_error(scored, confidence)
    shares = {"accuracy": (scored.called == scored.labels, np.ones(scored.rows, bool))}
    if scored.task == "binary":
        called, positive = scored.called == 1, scored.labels == 1
        shares = {
            "selection": (called, np.ones(scored.rows, bool)),
            "true_positive": (called, positive),
            "false_positive": (called, ~positive),
        }
    for name, (hit, among) in shares.items():
        rows, hits = int(among.sum()), int((hit & among).sum())
        if rows >= MIN_ROWS and name != metric:
            found.append(Rate(name, hits / rows, *wilson(hits, rows, confidence), rows))
    return found


def _mean_error(scored: Scored, confidence: float) -> list[Rate]:
    if scored.rows < MIN_ROWS:
        return []
    errors = scored.predictions - scored.labels
    mean, half = (
        float(errors.mean()),
        normal_quantile(confidence) * float(errors.std(ddof=1)) / math.sqrt(len(errors)),
    )
    return [Rate("mean_error", mean, mean - half, mean + half, scored.rows)]


def _group(part: Part, rates: dict[str, Rate], metric: str) -> GroupRate:
    rows = int(part.rows.sum())
    values = {name: rate.value for name, rate in rates.items() if name != metric}
    if metric == "accuracy" and metric in rates:
        values["accuracy"] = rates[metric].value
    note = "" if rows >= MIN_ROWS else f"{rows:,} rows are too few to judge; at least {MIN_ROWS} are needed"
    score = rates[metric].value if metric in rates else None
    return GroupRate(value=part.value, rows=rows, score=score, note=note, **values)


def _gap(name: str, rates: dict[str, Rate]) -> Gap | None:
    if len(rates) < 2:
        return None
    highest = max(rates, key=lambda group: rates[group].value)
    lowest = min(rates, key=lambda group: rates[group].value)
    a, b = rates[highest], rates[lowest]
    low, high = difference_interval((a.value, a.low, a.high), (b.value, b.low, b.high))
    return Gap(
        rate=name,
        gap=a.value - b.value,
        low=low,
        high=high,
        highest=highest,
        lowest=lowest,
        rows=a.rows + b.rows,
    )


def difference_interval(a: tuple[float, float, float], b: tuple[float, float, float]) -> Interval:
    """Interval of a - b from (value, low, high) of two independent estimates, by square-and-add."""
    difference = a[0] - b[0]
    down = math.hypot(a[0] - a[1], b[2] - b[0])
    up = math.hypot(a[2] - a[0], b[0] - b[1])
    return difference - down, difference + up
