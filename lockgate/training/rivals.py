"""Fits the baselines in a process of its own while the network trains, and keeps what they predict.

`python -m lockgate.training.rivals job.json`
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl

from lockgate.data import snapshot as snapshots
from lockgate.data.label import encode_label, labelled
from lockgate.errors import TrainingError
from lockgate.evaluation.metrics import measure
from lockgate.evaluation.scored import Scored
from lockgate.features.raw import encode
from lockgate.features.spec import LabelSpec, TransformSpec
from lockgate.project import Project, RandomSplit
from lockgate.records import Record, Split
from lockgate.storage import explained
from lockgate.training.baselines import TITLES, Encoder, Fitted, Lesson, Name, fit
from lockgate.training.folds import FILE, Places, cross_validate
from lockgate.training.record import BaselineRecord, Folds
from lockgate.workspace import Workspace


class RivalsJob(Record):
    """What the process needs: the project, the workspace, the snapshot's and the features' artifacts."""

    project: Project
    workspace: str
    snapshot: str
    features: str
    folder: str


class Rivals(Record):
    """What the process leaves in `baselines.json`."""

    baselines: tuple[BaselineRecord, ...]
    folds: tuple[Folds, ...] = ()


def names_of(project: Project) -> tuple[Name, ...]:
    """Which baselines the project wants; the trivial one always."""
    wanted = project.train.baseline
    return tuple(n for n in get_args(Name) if n == "trivial" or wanted in (n, "both"))


def fit_all(job: RivalsJob) -> Rivals:
    """Fits the baselines on the training rows and writes their predictions of tune and test rows."""
    spec = TransformSpec.load(Path(job.features) / "spec.json")
    tensors, labels = {}, {}
    for split in ("train", "tune", "test"):
        tensors[split], labels[split] = raw_rows(job, spec, split)
    encoder = Encoder(spec)
    tables = {split: encoder.encode(found) for split, found in tensors.items()}
    lesson = Lesson(spec.label, tables["train"], labels["train"], tables["tune"], labels["tune"])
    records = []
    for name in names_of(job.project):
        fitted = fit(name, lesson)
        answers = {split: fitted.predict(tables[split]) for split in ("tune", "test")}
        file = Path("baselines") / f"{name}.parquet"
        _write(Path(job.folder) / file, answers)
        metric = _measured(job.project, lesson.label, labels["tune"], answers["tune"])
        records.append(_record(fitted, metric, file))
    return Rivals(baselines=tuple(records), folds=_folds(job, lesson))


def _measured(project: Project, label: LabelSpec, y: Any, answers: Any) -> float:
    return measure(project.metric, Scored(label.task, y, answers.astype(np.float64)))


def _folds(job: RivalsJob, lesson: Lesson) -> tuple[Folds, ...]:
    """Every baseline on the folds that the network is scored on."""
    split = job.project.split
    if not isinstance(split, RandomSplit) or split.folds < 2:
        return ()
    fold_of = np.load(Path(job.features) / FILE)
    both = lesson.train.with_rows_of(lesson.tune)
    y = np.concatenate([lesson.y, lesson.tune_y])

    def scorer(name: Name) -> Callable[[Places, Places, Places], float]:
        def score(train: Places, stop: Places, scored: Places) -> float:
            part = Lesson(lesson.label, both.take(train), y[train], both.take(stop), y[stop])
            answers = fit(name, part).predict(both.take(scored))
            return _measured(job.project, lesson.label, y[scored], answers)

        return score

    return tuple(cross_validate(n, fold_of, split.folds, scorer(n)) for n in names_of(job.project))


def raw_rows(job: RivalsJob, spec: TransformSpec, split: Split) -> tuple[Any, Any]:
    """The raw tensors and the encoded labels of the labelled rows of a split, in their order."""
    snapshot = snapshots.load(Path(job.snapshot))
    label = job.project.data.label
    columns = list(dict.fromkeys([*(c.name for c in spec.columns), label]))
    frame = labelled(snapshots.read(Workspace(job.workspace), snapshot, split, columns), job.project)
    return encode(frame, spec.columns), encode_label(frame, job.project, spec.label.classes or None)


def _record(fitted: Fitted, metric: float, file: Path) -> BaselineRecord:
    return BaselineRecord(
        name=fitted.name,
        title=TITLES[fitted.name],
        metric=metric,
        seconds=fitted.seconds,
        file=str(file),
        settings=fitted.settings,
    )


def _write(path: Path, answers: dict[str, Any]) -> None:
    frames = []
    for split, values in answers.items():
        wide = values[:, None] if values.ndim == 1 else values
        names = ["prediction"] if values.ndim == 1 else [f"prediction_{i}" for i in range(wide.shape[1])]
        frames.append(
            pl.DataFrame(
                {
                    "split": pl.repeat(split, len(wide), eager=True),
                    "row": np.arange(len(wide), dtype=np.int64),
                    **{name: wide[:, i].astype(np.float32) for i, name in enumerate(names)},
                }
            )
        )
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        pl.concat(frames).write_parquet(path)


class Fitting:
    """The process that fits the baselines."""

    def __init__(self, job: RivalsJob, process: "subprocess.Popen[str]") -> None:
        self.job, self.process = job, process

    def result(self) -> Rivals:
        """Waits for the process and gives what it found.

        Raises:
            TrainingError: the process failed.
        """
        said, _ = self.process.communicate()
        if self.process.returncode:
            tail = "\n".join(said.splitlines()[-15:])
            raise TrainingError(
                f"The baselines could not be fitted:\n{tail}", "", "Mend the data, run again."
            )
        return Rivals.load(Path(self.job.folder) / "baselines.json")


@contextmanager
def fitting(job: RivalsJob) -> Iterator[Fitting]:
    """Starts the process; ends it when the context is left before it is done."""
    Path(job.folder).mkdir(parents=True, exist_ok=True)
    file = Path(job.folder) / "baselines-job.json"
    job.save(file)
    # Half of the cores, and no spinning: the network is being trained at the same time.
    threads = str(max(1, (os.cpu_count() or 1) // 2))
    calm = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, "OMP_WAIT_POLICY": "passive"}
    process = subprocess.Popen(
        [sys.executable, "-m", "lockgate.training.rivals", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | calm,
        start_new_session=True,
    )
    try:
        yield Fitting(job, process)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        file.unlink(missing_ok=True)
        (Path(job.folder) / "baselines.json").unlink(missing_ok=True)


if __name__ == "__main__":
    given = RivalsJob.load(Path(sys.argv[1]))
    fit_all(given).save(Path(given.folder) / "baselines.json")
