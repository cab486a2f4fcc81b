"""The short table at the end of a run."""

from rich.text import Text

from lockgate.cli.place import Place
from lockgate.cli.view import shown_path
from lockgate.evaluation.record import EvaluationRecord
from lockgate.records import Verdict
from lockgate.run_folder import RunFolder
from lockgate.shipping.record import ModelCard

GATES = (("data gate", "validate"), ("model gate", "evaluate"), ("serving gate", "check_serving"))


def summary(place: Place, run: RunFolder) -> tuple[str, dict[str, str | Text]]:
    """A title and the table's rows: gates, metric against the others, threshold, artifacts."""
    rows: dict[str, str | Text] = {}
    for name, step in GATES:
        if (path := run.artifact(step, "verdict")) is not None:
            rows[name] = gate_line(Verdict.load(path))
    if (folder := run.artifact("evaluate", "evaluation")) is not None:
        evaluation = EvaluationRecord.load(folder / "evaluation.json")
        rows[evaluation.metric] = metric_line(evaluation)
        if evaluation.threshold is not None:
            rows["threshold"] = evaluation.threshold.sentence
    card = pushed_card(run)
    if card is not None:
        workspace = place.workspace
        local = shown_path(workspace.models / card.content)
        rows["model"] = f"{workspace.address}/models/{card.content}" if workspace.is_remote else local
    rows["report"] = shown_path(run.report)
    if card is None:
        return "Not pushed: the model was rejected", rows
    option = f" --workspace {place.workspace.address}" if place.workspace.is_remote else ""
    rows["next"] = f"lockgate serve {shown_path(place.folder)}{option}"
    return f"Pushed {card.name} {card.content[:8]}", rows


def gate_line(verdict: Verdict) -> Text:
    """Whether a gate is open, how many checks passed, and what closed it."""
    passed = sum(check.passed for check in verdict.checks)
    line = Text("open", style="green") if verdict.is_open else Text("closed", style="red bold")
    line.append(f"  {passed} of {len(verdict.checks)} checks passed", style="default not bold")
    if verdict.warnings:
        line.append(f", {len(verdict.warnings)} warnings", style="yellow not bold")
    for check in verdict.errors:
        line.append(f"\n{check.rule}: {check.message} {check.advice}".rstrip(), style="default not bold")
    return line


def metric_line(evaluation: EvaluationRecord) -> str:
    """The main metric of every model that was scored on the test rows."""
    parts = []
    for model in evaluation.models:
        if (metric := model.metric(evaluation.metric)) is None:
            continue
        interval = f" [{metric.low:.4f}, {metric.high:.4f}]" if metric.low is not None else ""
        parts.append(
            f"{model.name.replace('_', ' ')} {metric.value:.4f}{interval if model.role == 'network' else ''}"
        )
    return ", ".join(parts) + f" ({evaluation.rows:,} rows)"


def pushed_card(run: RunFolder) -> ModelCard | None:
    """The card of the model that the run pushed, or None."""
    path = run.artifact("push", "card")
    return ModelCard.load(path) if path is not None else None
