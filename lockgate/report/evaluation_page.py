"""What the model is worth: the main metric against the others, decisions, curves, slices, mistakes."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

from markupsafe import Markup

from lockgate.evaluation.record import Comparison, EvaluationRecord, MetricValue, ModelScores
from lockgate.records import Verdict
from lockgate.report import mini, numbers
from lockgate.report.document import Section, render
from lockgate.report.evaluation_curves import curves
from lockgate.report.evaluation_decision import confusion, decision
from lockgate.report.evaluation_parts import fairness, importance, mistakes, slices

_GROUP = "Evaluation"


def sections(record: EvaluationRecord, verdict: Verdict | None = None) -> list[Section]:
    """The evaluation in sections; what does not apply to the task, or was not computed, is left out."""
    found: list[tuple[str, str, Markup]] = [("evaluation", "Result", _result(record, verdict))]
    if record.threshold is not None:
        found.append(("decision", "Decision", decision(record)))
    if pictures := curves(record):
        found.append(("curves", "Curves" if record.task != "regression" else "Errors", pictures))
    if record.task == "multiclass" and record.confusion is not None:
        found.append(("classes", "Classes", confusion(record)))
    if record.slices:
        found.append(("slices", "Slices", slices(record)))
    if record.fairness:
        found.append(("fairness", "Fairness", fairness(record)))
    if record.importance:
        found.append(("importance", "What the model relies on", importance(record)))
    if record.mistakes:
        found.append(("mistakes", "Worst mistakes", mistakes(record)))
    return [Section(id=name, title=title, body=body, group=_GROUP) for name, title, body in found]


def title(model: ModelScores) -> str:
    """What people call a model."""
    return {"network": "This model", "champion": "Champion"}.get(
        model.role, numbers.words(model.name).capitalize()
    )


def _result(record: EvaluationRecord, verdict: Verdict | None) -> Markup:
    order = {"network": 0, "champion": 1, "baseline": 2}
    models = sorted(record.models, key=lambda m: order[m.role])
    main = {m.name: m.metric(record.metric) for m in models}
    # The trivial model lies far off and would press the others together: it does not set the scale.
    serious = [m for name, m in main.items() if m and (name != "trivial" or len(main) <= 2)]
    domain = mini.domain_of([v for m in serious for v in (m.low, m.value, m.high)])
    own = record.network.metric(record.metric)
    rows = [_model(record, m, main[m.name], own, domain) for m in models]
    names = list(dict.fromkeys(v.name for m in models for v in m.metrics))
    return render(
        "result.html",
        record=record,
        own=own,
        verdict=verdict,
        rows=rows,
        scale=mini.ends(domain),
        names=names,
        models=[(title(m), [m.metric(n) for n in names]) for m in models],
        others=[v for v in record.network.metrics if v.name != record.metric and isfinite(v.value)][:4],
    )


def _model(
    record: EvaluationRecord,
    model: ModelScores,
    score: MetricValue | None,
    own: MetricValue | None,
    domain: tuple[float, float],
) -> dict[str, Any]:
    comparison = _against(record.comparisons, model)
    picture: Markup | str = ""
    if score is not None and isfinite(score.value):
        picture = mini.whisker(
            score.value, score.low, score.high, domain=domain, reference=own.value if own else None,
            label=f"{title(model)}: {numbers.number(score.value)}, "
            f"interval {numbers.number(score.low)} to {numbers.number(score.high)}",
            colour="var(--c1)" if model.role == "network" else "var(--c6)",
        )  # fmt: skip
    return {
        "title": title(model),
        "score": score,
        "picture": picture,
        "comparison": comparison,
        "role": model.role,
    }


def _against(comparisons: Sequence[Comparison], model: ModelScores) -> Comparison | None:
    return next((c for c in comparisons if c.other == model.name and model.role != "network"), None)
