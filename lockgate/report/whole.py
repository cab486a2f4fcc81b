"""The one report of a run: every page that its steps got as far as, with the verdicts on top."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lockgate.data.history import previous
from lockgate.data.profile import Profile
from lockgate.evaluation.record import EvaluationRecord
from lockgate.features.spec import TransformSpec
from lockgate.project import Project
from lockgate.records import Snapshot, Verdict
from lockgate.report import (
    data_page,
    evaluation_page,
    numbers,
    rollout_page,
    serving_page,
    training_page,
    verdict_page,
)
from lockgate.report.document import Section, document, render
from lockgate.rollout.record import RolloutRecord
from lockgate.run_folder import RunFolder
from lockgate.shipping.record import ModelCard, ServingRecord
from lockgate.storage import write_atomically
from lockgate.training.record import TrainingRecord
from lockgate.workspace import Workspace


@dataclass(frozen=True)
class Findings:
    """What a run left behind; None where a step did not get so far."""

    snapshot: Snapshot | None = None
    profile: Profile | None = None
    previous: Profile | None = None
    features: TransformSpec | None = None
    training: TrainingRecord | None = None
    evaluation: EvaluationRecord | None = None
    serving: ServingRecord | None = None
    card: ModelCard | None = None
    rollout: RolloutRecord | None = None
    verdicts: tuple[Verdict, ...] = ()
    artifacts: dict[str, str] = field(default_factory=dict)

    def verdict(self, gate: str) -> Verdict | None:
        """The verdict of a gate, or None when it has not decided."""
        return next((v for v in self.verdicts if v.gate == gate), None)


def write_report(project: Project, run: RunFolder, workspace: Workspace) -> Path:
    """Writes the report of a run from the records in its folder, and returns its path.

    Raises:
        StorageError: the run's folder cannot be written.
    """
    text = report(project, gather(run, workspace), when=_started(run))
    write_atomically(run.report, text.encode())
    return run.report


def gather(run: RunFolder, workspace: Workspace) -> Findings:
    """Reads the records that the steps of a run wrote, as far as they got."""

    def load(kind: Any, step: str, artifact: str, name: str = "") -> Any:
        place = run.artifact(step, artifact)
        path = place / name if place is not None and name else place
        return kind.load(path) if path is not None and path.is_file() else None

    verdicts = (load(Verdict, step, "verdict") for step in ("validate", "evaluate", "check_serving"))
    profile = load(Profile, "validate", "statistics", "profile.json")
    card = load(ModelCard, "push", "card")
    places = {"model folder": f"{workspace.address}/models/{card.content}"} if card else {}
    places |= {"records and logs": str(run.path)}
    return Findings(
        snapshot=load(Snapshot, "collect", "snapshot", "snapshot.json"),
        profile=profile,
        previous=previous(workspace, profile.snapshot) if profile else None,
        features=load(TransformSpec, "transform", "features", "spec.json"),
        training=load(TrainingRecord, "train", "training", "training.json"),
        evaluation=load(EvaluationRecord, "evaluate", "evaluation", "evaluation.json"),
        serving=load(ServingRecord, "check_serving", "record"),
        card=card,
        rollout=RolloutRecord.load(run.rollout) if run.rollout.is_file() else None,
        verdicts=tuple(v for v in verdicts if v is not None),
        artifacts=places,
    )


def _started(run: RunFolder) -> datetime | None:
    try:
        return datetime.strptime(run.path.name[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def report(project: Project, found: Findings, *, when: datetime | None = None) -> str:
    """The report as one HTML file.

    Args:
        project: the project of the run.
        found: the records to show; missing ones are left out with a sentence.
        when: when the run was started, UTC.
    """
    parts = [p for p in (project.description, f"run of {numbers.date(when)} UTC" if when else "") if p]
    return document(
        project.name,
        _sections(project, found),
        subtitle=" · ".join(parts),
        header=render(
            "summary.html",
            outcome=outcome(found),
            found=found,
            metric=_metric(found),
            rollout=rollout_page.outcome(found.rollout) if found.rollout else None,
        ),
    )


def outcome(found: Findings) -> tuple[str, str, str]:
    """How the run ended: the colour class, a word, and a sentence."""
    if found.card is not None:
        return (
            "good",
            "Pushed",
            f"{found.card.name} {numbers.short(found.card.content)} is ready to be served.",
        )
    for verdict in found.verdicts:
        if not verdict.is_open:
            first = verdict.errors[0]
            return (
                "bad",
                "Rejected",
                f"The {verdict.gate} gate is closed: {first.message} {first.advice}".strip(),
            )
    steps = [
        (found.serving, "check_serving"),
        (found.evaluation, "evaluate"),
        (found.training, "train"),
        (found.features, "transform"),
        (found.profile, "validate"),
        (found.snapshot, "collect"),
    ]
    last = next((name for record, name in steps if record is not None), None)
    if last is None:
        return "warn", "Stopped", "The run stopped before the first step was done."
    return (
        "warn",
        "Stopped",
        f"The last step that was done is {last}; no gate is closed. Go on with lockgate run --resume.",
    )


def _metric(found: Findings) -> list[dict[str, Any]]:
    record = found.evaluation
    if record is None:
        return []
    pairs = [(evaluation_page.title(m), m.metric(record.metric), m.role) for m in record.models]
    return [{"name": name, "value": value, "role": role} for name, value, role in pairs if value is not None]


def _sections(project: Project, found: Findings) -> list[Section]:
    sections = verdict_page.sections(project.name, found.verdicts)
    if found.snapshot is not None and found.profile is not None:
        sections += data_page.sections(
            found.snapshot, found.profile, found.verdict("data"), found.previous, label=project.data.label
        )
    if found.training is not None and found.features is not None:
        sections += training_page.sections(found.training, found.features)
    if found.evaluation is not None:
        sections += evaluation_page.sections(found.evaluation, found.verdict("model"))
    if found.serving is not None:
        sections += serving_page.sections(found.serving, found.verdict("serving"))
    if found.rollout is not None:
        sections += rollout_page.sections(found.rollout)
    missing = [
        name
        for name, there in (
            ("the data", found.profile),
            ("the training", found.training),
            ("the evaluation", found.evaluation),
            ("the serving check", found.serving),
        )
        if there is None
    ]
    if missing:
        closed = next((v.gate for v in found.verdicts if not v.is_open), "")
        sections.append(
            Section(
                id="missing",
                title="Not in this report",
                body=render("missing.html", missing=missing, gate=closed),
            )
        )
    return sections
