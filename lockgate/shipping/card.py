"""The model card: from the records of a run to what a person needs to know of a model."""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from lockgate import __version__
from lockgate.evaluation.record import EvaluationRecord
from lockgate.project import Project
from lockgate.records import Snapshot, Verdict
from lockgate.shipping.folder import Example
from lockgate.shipping.record import CardMetric, CardVerdict, ModelCard
from lockgate.shipping.rows import json_values
from lockgate.training.spec import ModelSpec


def card(
    digest: str,
    created: datetime,
    project: Project,
    snapshot: Snapshot,
    spec: ModelSpec,
    evaluation: EvaluationRecord,
    verdicts: Sequence[Verdict],
) -> ModelCard:
    """The card of a model.

    Args:
        digest: of the model's content.
        created: now, UTC.
        project: says what the model is for.
        snapshot: the data it learnt from.
        spec: of the model.
        evaluation: metrics and threshold.
        verdicts: of the data, model and serving gates.
    """
    trained = [p for p in snapshot.partitions if p.split == "train"]
    threshold = evaluation.threshold
    return ModelCard(
        content=digest,
        name=project.name,
        task=project.task,
        created=created,
        version=__version__,
        snapshot=snapshot.content,
        source=snapshot.source,
        rows={split: snapshot.rows_of(split) for split in ("train", "tune", "test")},
        time_min=min((p.time_min for p in trained if p.time_min), default=None),
        time_max=max((p.time_max for p in trained if p.time_max), default=None),
        label=spec.label,
        classes=spec.classes,
        features=tuple(column.name for column in spec.inputs),
        metric=evaluation.metric,
        metrics=metrics(evaluation),
        threshold=threshold.value if threshold else None,
        decision=threshold.sentence if threshold else "",
        verdicts=tuple(
            CardVerdict(
                gate=verdict.gate,
                sentence=verdict.sentence(),
                warnings=tuple(check.message for check in verdict.warnings),
            )
            for verdict in verdicts
        ),
        intended_use=project.description,
        limits=limits(
            evaluation, trained_until=max((p.time_max for p in trained if p.time_max), default=None)
        ),
        memory_mb=_measured_memory(verdicts),
        difference=evaluation.difference,
    )


def metrics(evaluation: EvaluationRecord) -> tuple[CardMetric, ...]:
    """The network's metrics on the test split, beside those of the models it was compared with."""
    others = [model for model in evaluation.models if model.role != "network"]
    return tuple(
        CardMetric(
            name=metric.name,
            value=metric.value,
            low=metric.low,
            high=metric.high,
            baselines={
                other.name: found.value
                for other in others
                if (found := other.metric(metric.name)) is not None
            },
        )
        for metric in evaluation.network.metrics
    )


def limits(evaluation: EvaluationRecord, trained_until: datetime | None) -> tuple[str, ...]:
    """What the model is not good for, as far as the evaluation knows; a sentence each."""
    found = []
    if trained_until is not None:
        found.append(
            f"It learnt from rows up to {trained_until:%Y-%m-%d} and knows nothing of later changes."
        )
    found += [
        f"It is worse where {s.column} is {s.value}: {s.metric} {s.score:.4g} on {s.rows:,} test rows."
        for s in evaluation.slices
        if s.significant and s.score is not None and (s.drop or 0) > 0
    ]
    found += [
        f"It was not judged where {s.column} is {s.value}: {s.note}." for s in evaluation.slices if s.note
    ]
    return tuple(found)


def _measured_memory(verdicts: Sequence[Verdict]) -> float | None:
    found = (c.value for v in verdicts if v.gate == "serving" for c in v.checks if c.rule == "memory")
    return next(found, None)


def example(test: pl.DataFrame, spec: ModelSpec) -> Example:
    """A real row for a first request: of the first hundred, the one with the fewest missing values."""
    head = test.head(100).select(column.name for column in spec.inputs)
    missing = head.select(pl.sum_horizontal(pl.all().is_null())).to_series()
    values = json_values(head[int(missing.arg_min() or 0)], spec.inputs)
    return Example(row={name: column[0] for name, column in values.items()})
