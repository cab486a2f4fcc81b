"""What a training leaves behind: `training.json`, read by the training page and by the evaluation."""

from collections.abc import Mapping
from typing import Any

from lockgate.project import Model, Training
from lockgate.records import Record


class Epoch(Record):
    """One pass over the training rows.

    `loss` and `tune_loss` are means per row, in the unit of the task's loss; `metric` and `train_metric`
    are the main metric on the tune rows and on (a sample of) the training rows. `seconds` are the
    wall-clock seconds of the epoch, `rows_per_second` training rows through the loop, measuring left out.
    `step` is the step that the epoch ended at.
    """

    epoch: int
    step: int
    loss: float
    tune_loss: float
    metric: float
    train_metric: float
    learning_rate: float
    seconds: float
    rows_per_second: float


class Folds(Record):
    """Cross-validation scores of one model by the main metric: one value a fold, mean and deviation."""

    model: str
    scores: tuple[float, ...]
    mean: float
    deviation: float


class BaselineRecord(Record):
    """A baseline that was fitted on the same rows.

    `metric` is the main metric on the tune rows; `file`, relative to the training folder, is Parquet with
    the columns split ("tune", "test"), row (its place among the labelled rows of the split, from 0) and
    what it predicts: `prediction` (binary: probability of the positive class; regression: label's unit),
    or `prediction_0`, `prediction_1`, … by class. `settings` are what it was fitted with.
    """

    name: str
    title: str
    metric: float
    seconds: float
    file: str
    settings: Mapping[str, Any]


class Trial(Record):
    """One trial of the search: the settings tried, and the main metric on the tune rows."""

    number: int
    settings: Mapping[str, Any]
    score: float
    epochs: int
    seconds: float
    state: str


class Parameters(Record):
    """What the training is to use: `parameters.json`. Without a search, what project.yaml says."""

    model: Model
    train: Training
    metric: str
    trials: tuple[Trial, ...] = ()
    best: int | None = None


class TrainingRecord(Record):
    """How the model was trained.

    `metric` names the main metric, `greater_is_better` its direction. `best_epoch` is the epoch whose
    weights were kept (1 is the first); `stopped_early` says whether patience ran out before `epochs`.
    `steps` are the optimizer steps taken, `restarts` how often lost workers were started again,
    `resumed_at` the steps at which the training was taken up again.
    """

    metric: str
    greater_is_better: bool
    history: tuple[Epoch, ...]
    best_epoch: int
    stopped_early: bool
    steps: int
    steps_per_epoch: int
    seconds: float
    rows: int
    workers: int
    restarts: int = 0
    resumed_at: tuple[int, ...] = ()
    parameters: Parameters
    weights: int
    folds: tuple[Folds, ...] = ()
    baselines: tuple[BaselineRecord, ...] = ()
