"""How the model was trained: learning curves, settings, features, baselines, search, folds, speed."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup
from pydantic import BaseModel

from lockgate.features.spec import CategorySpec, DateSpec, FeatureSpec, NumberSpec, TransformSpec
from lockgate.report import mini, numbers
from lockgate.report.document import Section, render
from lockgate.report.plots import Axis, Line, Mark, figure, legend_of, lines
from lockgate.training.record import Epoch, TrainingRecord

_GROUP = "Training"


def sections(record: TrainingRecord, spec: TransformSpec) -> list[Section]:
    """The training in sections; tuning and cross-validation only when there were any."""
    found = [
        Section(id="training", title="Learning curves", body=_curves(record), group=_GROUP),
        Section(id="features", title="Features", body=_features(spec), group=_GROUP),
        Section(id="settings", title="Settings", body=_settings(record), group=_GROUP),
    ]
    if record.baselines or record.folds:
        found.insert(1, Section(id="baselines", title="Baselines", body=_baselines(record), group=_GROUP))
    if record.parameters.trials:
        found.append(Section(id="tuning", title="Search", body=_trials(record), group=_GROUP))
    return found


def _best(record: TrainingRecord) -> Epoch | None:
    return next((e for e in record.history if e.epoch == record.best_epoch), None)


def _curves(record: TrainingRecord) -> Markup:
    figures = []
    if record.history:
        metric = numbers.heading(record.metric)
        figures = [
            _curve("Loss", "mean loss per row", record, lambda e: e.loss, lambda e: e.tune_loss),
            _curve(metric, metric, record, lambda e: e.train_metric, lambda e: e.metric),
        ]
    speeds = sorted(e.rows_per_second for e in record.history)
    return render(
        "training.html",
        record=record,
        best=_best(record),
        figures=figures,
        speed=speeds[len(speeds) // 2] if speeds else None,
    )


def _curve(title: str, y: str, record: TrainingRecord, train: Any, tune: Any) -> Markup:
    pair = [
        Line(
            "train", [(e.epoch, train(e)) for e in record.history], "var(--c1)", dots=len(record.history) < 30
        ),
        Line(
            "tune", [(e.epoch, tune(e)) for e in record.history], "var(--c2)", dots=len(record.history) < 30
        ),
    ]
    first, last = record.history[0].epoch, record.history[-1].epoch
    # Room at both ends, so that the dots of the first and last epoch are whole.
    room = max(last - first, 1) * 0.02
    x = Axis("epoch", low=first - room, high=last + room, whole=True)
    best = _best(record)
    marks = [Mark(best.epoch, f"best epoch {best.epoch}")] if best else []
    label = f"{title} by epoch on train and tune; best epoch {record.best_epoch}"
    picture = lines(pair, x, Axis(y), label=label, marks=marks)
    return figure(title, picture, legend=legend_of(pair))


def _baselines(record: TrainingRecord) -> Markup:
    best = _best(record)
    rows: list[dict[str, Any]] = [
        {
            "name": b.title,
            "value": b.metric,
            "seconds": b.seconds,
            "settings": _plain(b.settings),
            "own": False,
            "trivial": b.name == "trivial",
        }
        for b in record.baselines
    ]
    if best is not None:
        rows.append(
            {
                "name": "This model",
                "value": best.metric,
                "seconds": record.seconds,
                "settings": "",
                "own": True,
                "trivial": False,
            }
        )
    rows.sort(key=lambda r: -r["value"] if record.greater_is_better else r["value"])
    domain = mini.domain_of([r["value"] for r in rows if not r["trivial"]] or [r["value"] for r in rows])
    for row in rows:
        row["picture"] = mini.whisker(
            row["value"], None, None, domain=domain, label=f"{row['name']}: {numbers.number(row['value'])}",
            colour="var(--c1)" if row["own"] else "var(--c6)",
        )  # fmt: skip
    ends = [v for f in record.folds for v in f.scores]
    span = mini.domain_of(ends)
    folds = [
        {
            "fold": f,
            "picture": mini.dots(
                f.scores, f.mean, domain=span, label=f"{f.model}: scores of {len(f.scores)} folds"
            ),
        }
        for f in record.folds
    ]
    return render(
        "baselines.html", record=record, rows=rows, folds=folds,
        scale=mini.ends(domain), fold_scale=mini.ends(span),
    )  # fmt: skip


def _features(spec: TransformSpec) -> Markup:
    rows = [{"name": f.name, "kind": f.kind, "how": how(f)} for f in spec.features]
    rows += [
        {
            "name": " × ".join(c.of),
            "kind": "cross",
            "how": f"{numbers.count(c.bins)} places, " + _width(c.embedding),
        }
        for c in spec.crosses
    ]
    return render("features.html", spec=spec, rows=rows)


def how(feature: FeatureSpec) -> str:
    """In one sentence, what the network gets of a feature."""
    if isinstance(feature, CategorySpec):
        places = numbers.count(len(feature.vocabulary))
        return f"{places} values with a place of their own, {_width(feature.embedding)}"
    if isinstance(feature, DateSpec):
        return ", ".join(numbers.words(part) for part in feature.parts)
    return _number(feature)


def _number(feature: NumberSpec) -> str:
    parts = [f"missing filled with {numbers.number(feature.fill)}" + (", flagged" if feature.flag else "")]
    if feature.low is not None or feature.high is not None:
        parts.append(f"clipped to {numbers.number(feature.low)} … {numbers.number(feature.high)}")
    if feature.log:
        parts.append("logarithm")
    parts.append(f"scaled by mean {numbers.number(feature.mean)} and deviation {numbers.number(feature.std)}")
    if feature.boundaries:
        parts.append(f"also cut into {len(feature.boundaries) + 1} bins")
    return "; ".join(parts)


def _width(embedding: int) -> str:
    return f"embedded in {embedding} numbers" if embedding else "one-hot"


def _settings(record: TrainingRecord) -> Markup:
    return render(
        "settings.html",
        groups=[
            ("model", _rows(record.parameters.model)),
            ("train", _rows(record.parameters.train)),
        ],
    )


def _rows(settings: BaseModel) -> list[tuple[str, str, bool]]:
    plain = type(settings)()
    return [(name, _text(value), value != getattr(plain, name)) for name, value in settings]


def _trials(record: TrainingRecord) -> Markup:
    trials = record.parameters.trials
    names = sorted({name for t in trials for name in t.settings})
    sign = -1 if record.greater_is_better else 1
    order = sorted(trials, key=lambda t: (t.state.lower() != "complete", sign * t.score))
    return render(
        "trials.html", record=record, names=names, trials=order, text=_text, best=record.parameters.best
    )


def _plain(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_text(value)}" for name, value in settings.items())


def _text(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: numbers.NONE}[value]
    if isinstance(value, float):
        return numbers.number(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_text(v) for v in value) or numbers.NONE
    return str(value)
