"""The evaluation's pictures: ROC, precision-recall, calibration, scores; residuals of a regression."""

from collections.abc import Mapping, Sequence
from typing import Literal

from markupsafe import Markup

from lockgate.evaluation.record import Curve, EvaluationRecord, Histogram, Residuals
from lockgate.report import numbers
from lockgate.report.chart import PALETTE
from lockgate.report.document import render
from lockgate.report.plots import Axis, Bars, Line, Mark, figure, histogram, legend_of, lines, scatter

_MOST = 7
_COLOURS = {"network": "var(--c1)", "champion": "var(--c2)", "gradient_boosting": "var(--c5)",
            "linear": "var(--c7)", "trivial": "var(--ghost)"}  # fmt: skip
_SCORES = {"positive": "var(--c5)", "negative": "var(--c1)", "right": "var(--c3)", "wrong": "var(--c5)",
           "residual": "var(--c1)"}  # fmt: skip
_NAMES = {"network": "this model"}


def curves(record: EvaluationRecord) -> Markup:
    """All pictures that the record has data for; empty when there are none."""
    figures = [*_trade_offs(record), *_calibration(record), *_histograms(record)]
    if record.residuals is not None:
        figures += _scatter(record, record.residuals)
    if not figures:
        return Markup()
    return render("curves.html", figures=figures, residuals=record.residuals)


def _trade_offs(record: EvaluationRecord) -> list[Markup]:
    share = Axis("", low=0, high=1)
    found = []
    for kind, name, x, y in (
        ("roc", "ROC", "false positive rate", "true positive rate"),
        ("precision_recall", "Precision and recall", "recall", "precision"),
    ):
        chosen, left_out = _choose([c for c in record.curves if c.kind == kind])
        if not chosen:
            continue
        palette = _palette([c.series for c in chosen])
        series = [
            Line(f"{_NAMES.get(c.series, numbers.words(c.series))} {numbers.fixed(c.area, 3)}",
                 _points(c), palette[c.series], dashed=c.series == "trivial")
            for c in chosen
        ]  # fmt: skip
        label = f"{name} curves: " + ", ".join(s.name for s in series)
        picture = lines(series[::-1], _axis(share, x), _axis(share, y), label=label, diagonal=kind == "roc")
        note = "area under the curve beside each name"
        if left_out:
            note += f"; {left_out} classes with larger areas are not drawn"
        found.append(figure(name, picture, note=note, legend=legend_of(series)))
    return found


def _points(curve: Curve) -> list[tuple[float, float]]:
    if curve.kind == "precision_recall" and len(curve.x) <= 3:
        # One score for every row: its precision is the share of positives at any recall.
        return [(0.0, min(curve.y)), (1.0, min(curve.y))]
    return list(zip(curve.x, curve.y, strict=True))


def _axis(axis: Axis, title: str) -> Axis:
    return Axis(title, low=axis.low, high=axis.high)


def _choose(found: Sequence[Curve]) -> tuple[list[Curve], int]:
    if len(found) <= _MOST:
        return list(found), 0
    return sorted(found, key=lambda c: c.area)[:_MOST], len(found) - _MOST


def _palette(names: Sequence[str]) -> Mapping[str, str]:
    if "network" in names:
        return {name: _COLOURS.get(name, "var(--c6)") for name in names}
    return {name: PALETTE[k % len(PALETTE)] for k, name in enumerate(names)}


def _calibration(record: EvaluationRecord) -> list[Markup]:
    bins = record.calibration
    if not bins:
        return []
    series = list(dict.fromkeys(b.series for b in bins))
    palette = _palette(series)
    drawn = []
    for name in series:
        own = sorted((b for b in bins if b.series == name), key=lambda b: b.predicted)
        drawn.append(
            Line(
                _NAMES.get(name, name),
                [(b.predicted, b.observed) for b in own],
                palette[name],
                dots=True,
                low=[b.low for b in own],
                high=[b.high for b in own],
            )
        )
    ends = [v for b in bins for v in (b.predicted, b.high)]
    top = next((t for t in (0.25, 0.5, 0.75) if max(ends) <= t), 1.0)
    picture = lines(
        drawn, Axis("predicted probability", low=0, high=top), Axis("observed share", low=0, high=top),
        label="Calibration: observed share by predicted probability", diagonal=True,
    )  # fmt: skip
    return [figure("Calibration", picture, note="on the dashed line, probabilities mean what they say",
                   legend=legend_of(drawn) if len(drawn) > 1 else ())]  # fmt: skip


def _histograms(record: EvaluationRecord) -> list[Markup]:
    found = [h for h in record.histograms if sum(h.counts)]
    if not found:
        return []
    regression = record.task == "regression"
    sets = [Bars(h.series, _shares(h), _SCORES.get(h.series, "var(--c6)")) for h in found]
    edges = found[0].edges
    marks = []
    if record.threshold is not None:
        marks = [Mark(record.threshold.value, f"threshold {numbers.number(record.threshold.value, 3)}")]
    x = Axis(f"prediction − actual ({record.label})" if regression else "score", low=edges[0], high=edges[-1])
    y = Axis("share of the class" if record.task == "binary" else "share of the rows", format=".0%")
    name: Literal["Errors", "Scores"] = "Errors" if regression else "Scores"
    picture = histogram(
        edges, sets, x, y, label=f"{name}: " + ", ".join(h.series for h in found), marks=marks
    )
    words = {"positive": "truly positive", "negative": "truly negative"}
    legend = [(words.get(b.name, b.name), b.colour, "box") for b in sets] if len(sets) > 1 else []
    return [figure(name, picture, note="rows by score" if not regression else "rows by error", legend=legend)]


def _shares(one: Histogram) -> list[float]:
    total = sum(one.counts)
    return [c / total for c in one.counts]


def _scatter(record: EvaluationRecord, residuals: Residuals) -> list[Markup]:
    points = list(zip(residuals.actual, residuals.predicted, strict=True))
    picture = scatter(
        points, Axis(f"actual {record.label}"), Axis(f"predicted {record.label}"),
        label=f"Predicted against actual {record.label}, {len(points)} rows",
    )  # fmt: skip
    return [
        figure(
            "Predicted against actual",
            picture,
            note=f"{len(points):,} rows, drawn evenly over the actual values",
        )
    ]
