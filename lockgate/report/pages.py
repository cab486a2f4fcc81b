"""The page of one step: its verdict on top, then what it found, as one self-contained HTML file."""

from lockgate.data.profile import Profile
from lockgate.evaluation.record import EvaluationRecord
from lockgate.features.spec import TransformSpec
from lockgate.records import Snapshot, Verdict
from lockgate.report import (
    data_page,
    evaluation_page,
    rollout_page,
    serving_page,
    training_page,
    verdict_page,
)
from lockgate.report.document import document
from lockgate.rollout.record import RolloutRecord
from lockgate.shipping.record import ServingRecord
from lockgate.training.record import TrainingRecord


def validation(
    project: str,
    snapshot: Snapshot,
    profile: Profile,
    verdict: Verdict,
    previous: Profile | None = None,
    *,
    label: str = "",
) -> str:
    """The page of `validate`: the data gate, the snapshot, its columns, and what changed."""
    parts = data_page.sections(snapshot, profile, verdict, previous, label=label)
    return document(project, [*verdict_page.sections(project, [verdict]), *parts], subtitle="Data")


def training(project: str, record: TrainingRecord, spec: TransformSpec) -> str:
    """The page of `train`: learning curves, baselines, features, settings, search."""
    return document(project, training_page.sections(record, spec), subtitle="Training")


def evaluation(project: str, record: EvaluationRecord, verdict: Verdict) -> str:
    """The page of `evaluate`: the model gate, then everything that it was judged by."""
    parts = evaluation_page.sections(record, verdict)
    return document(project, [*verdict_page.sections(project, [verdict]), *parts], subtitle="Evaluation")


def serving(project: str, record: ServingRecord, verdict: Verdict) -> str:
    """The page of `check_serving`: the serving gate, parity and the budget."""
    parts = serving_page.sections(record, verdict)
    return document(project, [*verdict_page.sections(project, [verdict]), *parts], subtitle="Serving")


def rollout(record: RolloutRecord) -> str:
    """The page of a rollout: the traffic, the evidence with its limits, the events."""
    return document(record.model, rollout_page.sections(record), subtitle="Rollout")
