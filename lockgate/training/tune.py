"""The search over settings: Optuna asks and is told, the trials run as any training does."""

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lockgate.errors import ConfigError, TrainingError
from lockgate.evaluation.metrics import higher_is_better
from lockgate.ports import Workers
from lockgate.project import Choice, Model, Project, RandomSplit, Training
from lockgate.storage import store_at
from lockgate.training.archive import forget, is_remote
from lockgate.training.crossing import network_folds
from lockgate.training.executor import execute
from lockgate.training.job import Job
from lockgate.training.record import Parameters, Trial

JOURNAL = "trials.journal"
SECTIONS: Mapping[str, type[Model] | type[Training]] = {"model": Model, "train": Training}


def search(
    project: Project,
    code: Mapping[str, str],
    features: Path,
    folder: str,
    tell: Callable[[Trial], None],
    workers: Workers | None = None,
) -> Parameters:
    """Runs the trials that are still to run and gives the best settings.

    A trial's score is the main metric on the tune rows, or its mean over the folds where the split has some.
    Every trial that ends is appended to a journal in `folder` (an address), so a search that is interrupted
    goes on there; the trial under way goes on from its own checkpoint. `workers` runs trials of several
    workers or on GPUs; the folds are small enough for this process.

    Raises:
        ConfigError: the space does not fit the settings.
        TrainingError: no trial ended with a finite score.
    """
    check_space(project)
    with _journal(folder) as (journal, keep):
        study = _study(project, journal)
        keep()
        while len(_ended(study)) < project.tune.trials:
            asked = study.ask()
            given = {name: _ask(asked, name, choice) for name, choice in project.tune.space.items()}
            keep()
            place = f"{folder}/{asked.user_attrs.get('folder', f'trial-{asked.number}')}"
            started = time.monotonic()
            tried = with_settings(project, given, epochs=project.tune.epochs)
            score = _score(tried, code, features, place, workers)
            asked.set_user_attr("seconds", time.monotonic() - started)
            study.tell(asked, score)
            keep()
            forget(place)
            tell(_trial(study.get_trials(deepcopy=False)[asked.number], project))
        trials = tuple(_trial(t, project) for t in _ended(study))
    finite = [t for t in trials if t.score == t.score]
    if not finite:
        raise TrainingError(
            "No trial of the search had a finite score.", "", "Mend tune.space in project.yaml."
        )
    sign = 1 if higher_is_better(project.metric) else -1
    best = max(finite, key=lambda t: sign * t.score)
    chosen = with_settings(project, best.settings)
    forget(folder)
    return Parameters(
        model=chosen.model, train=chosen.train, metric=project.metric, trials=trials, best=best.number
    )


def _study(project: Project, journal: Path) -> Any:
    """The study as its journal tells it; a trial whose process was ended is to be tried again."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(journal))),
        study_name="settings",
        load_if_exists=True,
        direction="maximize" if higher_is_better(project.metric) else "minimize",
        sampler=optuna.samplers.TPESampler(seed=project.train.seed),
    )
    running = [t for t in study.get_trials(deepcopy=False) if t.state == optuna.trial.TrialState.RUNNING]
    for old in running:  # the same settings, from its checkpoint
        study.tell(old.number, state=optuna.trial.TrialState.FAIL)
        place = old.user_attrs.get("folder", f"trial-{old.number}")
        study.enqueue_trial(old.params, user_attrs={"folder": place})
    return study


@contextmanager
def _journal(folder: str) -> Iterator[tuple[Path, Callable[[], None]]]:
    """The journal as a file, and what keeps it: nothing on a disk, for a bucket sending it there."""
    if not is_remote(folder):
        Path(folder).mkdir(parents=True, exist_ok=True)
        yield Path(folder) / JOURNAL, lambda: None
        return
    store = store_at(folder)
    with tempfile.TemporaryDirectory(prefix="search-") as scratch:
        path = Path(scratch) / JOURNAL
        store.fetch(JOURNAL, path)

        def keep() -> None:
            store.send(path, JOURNAL)

        yield path, keep


def check_space(project: Project) -> None:
    """Refuses a space with an unknown setting, or with a value that the setting does not take.

    Raises:
        ConfigError: naming the setting.
    """
    if not project.tune.space:
        raise ConfigError(
            f"tune.trials is {project.tune.trials}, but tune.space is empty.",
            "A search varies settings, such as train.learning_rate: {low: 0.0003, high: 0.01, log: true}.",
            "Add them under tune.space, or set tune.trials to 0.",
        )
    for name, choice in project.tune.space.items():
        section, _, setting = name.partition(".")
        fields = SECTIONS[section].model_fields if section in SECTIONS else {}
        if setting not in fields:
            known = [f"{s}.{f}" for s, kind in SECTIONS.items() for f in kind.model_fields]
            raise ConfigError(
                f"tune.space.{name} is no setting.", f"Settings are {', '.join(known)}.", "Edit tune.space."
            )
        for value in choice.values or (choice.low, choice.high):
            with_settings(project, {name: _whole(value, name)})


def with_settings(project: Project, given: Mapping[str, Any], epochs: int | None = None) -> Project:
    """The project with some settings of `model` and `train` changed, by dotted name.

    Raises:
        ConfigError: a value is not allowed.
    """
    changed: dict[str, dict[str, Any]] = {s: getattr(project, s).model_dump() for s in SECTIONS}
    for name, value in given.items():
        section, _, setting = name.partition(".")
        changed[section][setting] = value
    if epochs is not None:
        changed["train"]["epochs"] = epochs
    try:
        found = {section: SECTIONS[section].model_validate(values) for section, values in changed.items()}
    except ValidationError as error:
        problem = error.errors()[0]
        raise ConfigError(
            f"tune.space: {problem['loc'][0]} cannot be {problem['input']!r}.",
            f"{problem['msg']}.",
            "Edit tune.space.",
        ) from None
    return project.model_copy(update=found)


def _score(
    project: Project, code: Mapping[str, str], features: Path, folder: str, workers: Workers | None
) -> float:
    if isinstance(project.split, RandomSplit) and project.split.folds > 1:
        return network_folds(project, code, features, project.split.folds).mean
    job = Job(project=project, code=code, features=str(features), folder=folder)
    best = execute(job, lambda _: None, workers).state.best_metric
    return float("nan") if best is None else best


def _ask(trial: Any, name: str, choice: Choice) -> Any:
    if choice.values:
        # Optuna keeps texts; a tuple such as hidden: [128, 64] goes through JSON.
        texts = [json.dumps(value) for value in choice.values]
        value = json.loads(trial.suggest_categorical(name, texts))
        return tuple(value) if isinstance(value, list) else value
    if _is_whole(name):
        return trial.suggest_int(name, round(choice.low or 0), round(choice.high or 0), log=choice.log)
    return trial.suggest_float(name, choice.low, choice.high, log=choice.log)


def _is_whole(name: str) -> bool:
    section, _, setting = name.partition(".")
    default = getattr(SECTIONS[section](), setting)
    return isinstance(default, int) and not isinstance(default, bool)


def _whole(value: Any, name: str) -> Any:
    return round(value) if _is_whole(name) and isinstance(value, float) else value


def _ended(study: Any) -> list[Any]:
    """The trials that ran to their end; a score that is not a number makes Optuna call a trial failed."""
    return [
        t for t in study.get_trials(deepcopy=False) if t.state.is_finished() and "seconds" in t.user_attrs
    ]


def _trial(found: Any, project: Project) -> Trial:
    def plain(name: str, value: Any) -> Any:
        return json.loads(value) if project.tune.space[name].values else value

    return Trial(
        number=found.number,
        settings={name: plain(name, value) for name, value in found.params.items()},
        score=float("nan") if found.value is None else float(found.value),
        epochs=project.tune.epochs,
        seconds=float(found.user_attrs["seconds"]),
        state=found.state.name.lower(),
    )
