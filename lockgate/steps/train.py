"""The step that trains the network and the baselines, and exports a model that takes raw values."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lockgate.data import snapshot as snapshots
from lockgate.features.spec import TransformSpec
from lockgate.project import Project, RandomSplit
from lockgate.records import Snapshot
from lockgate.report.document import document
from lockgate.report.training_page import sections
from lockgate.steps.step import Outcome, Run, step
from lockgate.storage import write_atomically
from lockgate.training.record import Folds, Parameters, TrainingRecord
from lockgate.training.rivals import Rivals, RivalsJob, fitting
from lockgate.training.spec import OUTPUTS, ModelSpec
from lockgate.training.state import LoopState

if TYPE_CHECKING:
    from lockgate.training.executor import Trained

TELL_SECONDS = 2.0


@step
def train(
    run: Run, snapshot: Path, features: Path, parameters: Path, *, model: Path, training: Path, page: Path
) -> Outcome:
    """Trains with the settings that `tune` chose; writes the model, how it was trained, and the page.

    The baselines learn in a process of their own at the same time. Several workers, or any on GPUs, are run
    by the step's port: as pods on a cluster, as processes on a laptop. Interrupted, it goes on from the last
    checkpoint, which is saved on Ctrl-C and SIGTERM; a training that is done leaves no checkpoints.

    Raises:
        ConfigError: settings that do not go together.
        TrainingError: the user's model function failed, the loss is not finite, workers were lost for good.
    """
    chosen = Parameters.load(parameters)
    project = run.project.model_copy(update={"model": chosen.model, "train": chosen.train})
    spec = TransformSpec.load(features / "spec.json")
    rivals_job = RivalsJob(
        project=project,
        workspace=run.workspace.address,
        snapshot=str(snapshot),
        features=str(features),
        folder=str(training),
    )
    with fitting(rivals_job) as rivals:
        from lockgate.training.archive import forget
        from lockgate.training.board import Board
        from lockgate.training.executor import execute
        from lockgate.training.job import Job

        folder = f"{run.workspace.address}/checkpoints/{run.key}"
        job = Job(project=project, code=run.settings.code, features=str(features), folder=folder)
        board = Board(training / "tensorboard", project.metric)
        tell = teller(run, project)

        def progress(state: LoopState) -> None:
            board.write(state)
            tell(state)

        trained = execute(job, progress, run.ports.workers)
        network_folds = _folds(run, project, features)
        weights = _export(run, project, spec, snapshots.load(snapshot), trained, model)
        run.tell("waiting for the baselines")
        found = rivals.result()
    record = _record(project, chosen, spec, trained, found, network_folds, weights)
    record.save(training / "training.json")
    write_atomically(page, document(f"Training of {project.name}", sections(record, spec)).encode())
    forget(folder)
    return Outcome(message=_sentence(record), rows=record.rows * len(record.history))


def teller(run: Run, project: Project) -> Callable[[LoopState], None]:
    """Reports epochs as they end, each once, and no more than one in two seconds but for the last."""
    told = {"epoch": 0, "at": 0.0}

    def tell(state: LoopState) -> None:
        if not state.history or (last := state.history[-1]).epoch == told["epoch"]:
            return
        if state.is_done or state.total_seconds - told["at"] >= TELL_SECONDS:
            told.update(epoch=last.epoch, at=state.total_seconds)
            run.tell(
                f"epoch {last.epoch} of {project.train.epochs}: loss {last.loss:.4f}, "
                f"{project.metric} on tune {last.metric:.4f}, {last.rows_per_second:,.0f} rows/s"
            )

    return tell


def _folds(run: Run, project: Project, features: Path) -> tuple[Folds, ...]:
    if not isinstance(project.split, RandomSplit) or project.split.folds < 2:
        return ()
    from lockgate.training.crossing import network_folds
    from lockgate.training.distribute import stop_wishes
    from lockgate.training.loop import Stopped, Watch

    run.tell(f"cross-validation on {project.split.folds} folds")
    with stop_wishes() as wants_stop:
        try:
            watch = Watch(wants_stop)
            return (network_folds(project, run.settings.code, features, project.split.folds, watch),)
        except Stopped:
            raise KeyboardInterrupt from None


def _export(
    run: Run, project: Project, spec: TransformSpec, snapshot: Snapshot, trained: "Trained", model: Path
) -> int:
    from lockgate.training.export import export
    from lockgate.training.network import build_network

    network = build_network(project, run.settings.code, spec)
    network.set_weights(trained.weights)
    card = ModelSpec(
        name=project.name,
        task=project.task,
        label=project.data.label,
        classes=spec.label.classes,
        positive=project.data.positive,
        inputs=spec.columns,
        output=OUTPUTS[project.task],
        snapshot=snapshot.content,
        metric=project.metric,
        rows=spec.rows["train"],
        parameters=network.count_params(),
    )
    export(model, spec, network, card)
    return card.parameters


def _record(
    project: Project,
    chosen: Parameters,
    spec: TransformSpec,
    trained: "Trained",
    found: Rivals,
    folds: tuple[Folds, ...],
    weights: int,
) -> TrainingRecord:
    from lockgate.evaluation.metrics import higher_is_better

    state = trained.state
    return TrainingRecord(
        metric=project.metric,
        greater_is_better=higher_is_better(project.metric),
        history=state.history,
        best_epoch=state.best_epoch,
        stopped_early=state.stopped_early,
        steps=state.step,
        steps_per_epoch=state.history[0].step,
        seconds=state.total_seconds,
        rows=spec.rows["train"],
        workers=project.train.workers,
        restarts=trained.restarts,
        resumed_at=state.resumed_at,
        parameters=chosen,
        weights=weights,
        folds=(*folds, *found.folds),
        baselines=found.baselines,
    )


def _sentence(record: TrainingRecord) -> str:
    best = record.history[record.best_epoch - 1]
    beaten = ", ".join(f"{b.name.replace('_', ' ')} {b.metric:.4f}" for b in record.baselines)
    early = ", stopped early" if record.stopped_early else ""
    return (
        f"{record.metric} on tune {best.metric:.4f} at epoch {best.epoch} of {len(record.history)}{early}"
        f" ({beaten}); {record.weights:,} weights"
    )
