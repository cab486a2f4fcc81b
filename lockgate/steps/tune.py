"""The step that searches the settings of model and training, or passes those of project.yaml on."""

from pathlib import Path

from lockgate.steps.step import Outcome, Run, step
from lockgate.training.record import Parameters


@step
def tune(run: Run, features: Path, *, parameters: Path) -> Outcome:
    """Writes `parameters`, the settings that did best on the tune rows.

    Interrupted, the search goes on from the last trial that ended.

    Raises:
        ConfigError: the space names a setting that does not exist, or gives it a value that is not allowed.
        TrainingError: every trial failed.
    """
    project = run.project
    if not project.tune.trials:
        Parameters(model=project.model, train=project.train, metric=project.metric).save(parameters)
        return Outcome(message="no search: the settings of project.yaml are used")
    from lockgate.training.tune import search

    found = search(
        project,
        run.settings.code,
        features,
        f"{run.workspace.address}/checkpoints/{run.key}",
        lambda trial: run.tell(
            f"trial {trial.number + 1} of {project.tune.trials}: {project.metric} {trial.score:.4f} with "
            + ", ".join(f"{name} {value}" for name, value in trial.settings.items())
        ),
        run.ports.workers,
    )
    found.save(parameters)
    best = next(t for t in found.trials if t.number == found.best)
    chosen = ", ".join(f"{name} {value}" for name, value in best.settings.items())
    return Outcome(
        message=f"best of {len(found.trials)} trials: {project.metric} {best.score:.4f} with {chosen}"
    )
