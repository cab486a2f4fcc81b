"""The evaluation by parts of the rows: slices, groups, columns shuffled, single mistakes."""

from typing import Any

from markupsafe import Markup

from lockgate.evaluation.record import EvaluationRecord, Fairness, SliceScore
from lockgate.report import mini, numbers
from lockgate.report.document import render

_SLICES = 12
_BARS = 20


def slices(record: EvaluationRecord) -> Markup:
    """Each sliced column as a table of dots with whiskers against the overall value, the worst first."""
    overall = record.network.metric(record.metric)
    reference = overall.value if overall else None
    domain = mini.domain_of([*(v for s in record.slices for v in (s.low, s.score, s.high)), reference])
    groups = []
    for column in dict.fromkeys(s.column for s in record.slices):
        own = sorted((s for s in record.slices if s.column == column), key=_worst)
        rows = [{"slice": s, "picture": _whisker(s, domain, reference)} for s in own]
        groups.append({"column": column, "rows": rows[:_SLICES], "more": rows[_SLICES:]})
    return render("slices.html", record=record, groups=groups, scale=mini.ends(domain), overall=reference)


def _worst(one: SliceScore) -> tuple[bool, float, str]:
    return (one.score is None, -(one.drop or 0.0), one.value)


def _whisker(one: SliceScore, domain: tuple[float, float], reference: float | None) -> Markup | str:
    if one.score is None:
        return ""
    label = f"{one.column} {one.value}: {numbers.number(one.score)}"
    colour = "var(--c5)" if one.significant else "var(--c1)"
    return mini.whisker(
        one.score, one.low, one.high, domain=domain, reference=reference, label=label, colour=colour
    )


_RATES = ("selection", "true_positive", "false_positive", "accuracy", "mean_error")
_RATE_WORDS = {
    "selection": "Called positive",
    "true_positive": "True positive rate",
    "false_positive": "False positive rate",
}


def fairness(record: EvaluationRecord) -> Markup:
    """For each column, what its groups get, and the largest gaps with their intervals."""
    return render(
        "fairness.html",
        record=record,
        columns=[_groups(f) for f in record.fairness],
        words=lambda rate: _RATE_WORDS.get(rate, numbers.heading(rate)),
    )


def _groups(found: Fairness) -> dict[str, Any]:
    rates = [rate for rate in _RATES if any(getattr(g, rate) is not None for g in found.groups)]
    rows = [(g, [(rate, getattr(g, rate)) for rate in rates]) for g in found.groups]
    return {"column": found.column, "rates": rates, "rows": rows, "gaps": found.gaps}


def importance(record: EvaluationRecord) -> Markup:
    """A bar for each column: how much the main metric loses when it is shuffled."""
    found = sorted(record.importance, key=lambda i: (-i.mean, i.column))
    domain = mini.domain_of([v for i in found for v in (i.mean - i.sd, i.mean + i.sd)], zero=True)
    rows = [
        {
            "one": i,
            "picture": mini.bar(
                i.mean, domain=domain, low=i.mean - i.sd, high=i.mean + i.sd, width=320,
                label=f"{i.column}: {numbers.number(i.mean)} ± {numbers.number(i.sd)}",
            ),
        }
        for i in found
    ]  # fmt: skip
    return render("importance.html", record=record, rows=rows[:_BARS], more=rows[_BARS:])


def mistakes(record: EvaluationRecord) -> Markup:
    """The worst mistakes as cards: which row, what it was, what the model said, what it looked like."""
    ranks = {i.column: -i.mean for i in record.importance}
    cards = [
        {"one": m, "features": sorted(m.features, key=lambda f: (ranks.get(f[0], 0.0), f[0]))}
        for m in record.mistakes
    ]
    words = {
        "binary": "probability of the positive class",
        "multiclass": "probability of the true class",
        "regression": "predicted",
    }[record.task]
    return render("mistakes.html", record=record, cards=cards, words=words)
