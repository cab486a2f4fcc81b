"""Quick models that the network must beat: the class prior, a linear model, gradient boosting.

They learn from the same rows and the same raw columns as the network, with what each needs of encoding.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from lockgate.features.raw import MISSING_DATE
from lockgate.features.spec import CategorySpec, DateSpec, LabelSpec, NumberSpec, TransformSpec
from lockgate.project import DatePart

Name = Literal["trivial", "linear", "gradient_boosting"]
Array = npt.NDArray[Any]
Tensors = Mapping[str, Array]

TITLES: Mapping[Name, str] = {
    "trivial": "always the training rows' average",
    "linear": "linear model",
    "gradient_boosting": "gradient boosting",
}
MOST_CATEGORIES = 254
BOOSTING: Mapping[str, Any] = {
    "learning_rate": 0.1,
    "max_iter": 300,
    "max_leaf_nodes": 63,
    "l2_regularization": 10.0,
    "max_features": 0.3,
    "early_stopping": True,
    "n_iter_no_change": 10,
}
LOGISTIC: Mapping[str, Any] = {"C": 1.0, "max_iter": 100, "tol": 1e-3}
RIDGE: Mapping[str, Any] = {"alpha": 1.0, "solver": "lsqr"}


@dataclass(frozen=True)
class Table:
    """Rows for the baselines: numbers float32 [n, d] with NaN, categories as places int32 [n, c]."""

    numbers: Array
    categories: Array

    def take(self, rows: Array) -> "Table":
        """Some of the rows."""
        return Table(self.numbers[rows], self.categories[rows])

    def with_rows_of(self, other: "Table") -> "Table":
        """These rows, then the other's."""
        return Table(
            np.concatenate([self.numbers, other.numbers]), np.concatenate([self.categories, other.categories])
        )


class Encoder:
    """Raw tensors to tables, with the parts of dates and the vocabularies that the network is given.

    Place 0 of a category is missing; the 253 most frequent values of its vocabulary have places of their
    own, all others share the last one. Gradient boosting takes no more than 255 places.
    """

    def __init__(self, spec: TransformSpec) -> None:
        self.spec = spec
        self.places = {
            f.name: {value: i + 1 for i, value in enumerate(f.vocabulary[: MOST_CATEGORIES - 1])} | {"": 0}
            for f in spec.features
            if isinstance(f, CategorySpec)
        }

    def encode(self, tensors: Tensors) -> Table:
        """The rows as a table."""
        numbers: list[Array] = []
        categories: list[Array] = []
        for feature in self.spec.features:
            values = tensors[self.spec.column(feature.name).tensor]
            match feature:
                case NumberSpec():
                    numbers.append(values)
                case DateSpec():
                    numbers += date_parts(values, feature.parts)
                case CategorySpec():
                    text = pl.Series(values, dtype=pl.String)
                    places = self.places[feature.name]
                    place = text.replace_strict(places, default=MOST_CATEGORIES, return_dtype=pl.Int32)
                    categories.append(place.to_numpy())
        rows = len(next(iter(tensors.values())))
        return Table(
            np.stack(numbers, axis=1) if numbers else np.zeros((rows, 0), dtype=np.float32),
            np.stack(categories, axis=1) if categories else np.zeros((rows, 0), dtype=np.int32),
        )


def date_parts(seconds: Array, parts: Sequence[DatePart]) -> list[Array]:
    """The parts of dates as numbers, NaN where missing; one array [n] a part."""
    known = seconds != MISSING_DATE
    times = pl.from_epoch(pl.Series(np.where(known, seconds, 0)), time_unit="s").dt
    takers: Mapping[DatePart, Callable[[], pl.Series]] = {
        "month": times.month,
        "day_of_year": times.ordinal_day,
        "day": times.day,
        "weekday": times.weekday,
        "hour": times.hour,
        "minute": times.minute,
    }
    return [np.where(known, takers[part]().to_numpy(), np.nan).astype(np.float32) for part in parts]


@dataclass(frozen=True)
class Fitted:
    """A baseline that has learnt: `predict` gives what the task's model gives, for a table."""

    name: Name
    predict: Callable[[Table], Array]
    settings: Mapping[str, Any]
    seconds: float


@dataclass(frozen=True)
class Lesson:
    """What a baseline learns from: training rows with labels as `encode_label` gives them, and tune rows."""

    label: LabelSpec
    train: Table
    y: Array
    tune: Table
    tune_y: Array
    seed: int = 0


def fit(name: Name, lesson: Lesson) -> Fitted:
    """Fits a baseline; gradient boosting stops early by the tune rows."""
    started = time.monotonic()
    fitter = {"trivial": _trivial, "linear": _linear, "gradient_boosting": _boosting}[name]
    predict, settings = fitter(lesson)
    return Fitted(name, predict, settings, time.monotonic() - started)


Result = tuple[Callable[[Table], Array], Mapping[str, Any]]


def _trivial(lesson: Lesson) -> Result:
    label, y = lesson.label, lesson.y
    if label.task == "multiclass":
        answer: Any = np.bincount(y.astype(np.int64), minlength=len(label.classes)) / len(y)
    else:
        answer = float(np.mean(y, dtype=np.float64))
    shape = (1, len(label.classes)) if label.task == "multiclass" else (1,)
    row = np.asarray(answer, dtype=np.float32).reshape(shape)
    return (lambda table: np.repeat(row, len(table.numbers), axis=0)), {}


def _boosting(lesson: Lesson) -> Result:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    label, train, y, tune, tune_y = lesson.label, lesson.train, lesson.y, lesson.tune, lesson.tune_y

    def joined(table: Table) -> Array:
        return np.concatenate([table.numbers, table.categories.astype(np.float32)], axis=1)

    is_category = [False] * train.numbers.shape[1] + [True] * train.categories.shape[1]
    kind = HistGradientBoostingRegressor if label.task == "regression" else HistGradientBoostingClassifier
    # Few rows in a leaf fit noise where there are many rows, and nothing where there are few.
    given = {**BOOSTING, "min_samples_leaf": int(np.clip(len(y) // 2000, 20, 100))}
    estimator = kind(**given, categorical_features=is_category, random_state=lesson.seed)
    has_all = label.task == "regression" or set(np.unique(tune_y)) <= set(np.unique(y))
    if len(tune_y) and has_all:
        estimator.fit(joined(train), y, X_val=joined(tune), y_val=tune_y)
    else:
        estimator.fit(joined(train), y)
    settings = {**given, "iterations": int(estimator.n_iter_)}
    return (lambda table: _answers(estimator, label, joined(table))), settings


def _linear(lesson: Lesson) -> Result:
    from scipy import sparse
    from sklearn.linear_model import LogisticRegression, Ridge

    label, train, y = lesson.label, lesson.train, lesson.y

    # A column without any finite value has no median; it is filled with 0 like the mean of the others.
    has_value = np.isfinite(train.numbers).any(axis=0)
    safe = np.where(has_value, train.numbers, 0)
    median = np.nanmedian(safe, axis=0) if safe.shape[1] else np.zeros(0)
    filled = np.where(np.isfinite(train.numbers), train.numbers, median).astype(np.float64)
    mean, std = filled.mean(axis=0), filled.std(axis=0)
    std[std == 0] = 1.0
    sizes = [int(column.max(initial=0)) + 1 for column in train.categories.T]
    offsets = np.cumsum([0, *sizes])

    def matrix(table: Table) -> Any:
        missing = ~np.isfinite(table.numbers)
        scaled = np.clip((np.where(missing, median, table.numbers) - mean) / std, -10, 10)
        rows, width = table.categories.shape
        # A place that the training rows do not have gives an empty row: no column, no effect.
        is_known = table.categories < np.array(sizes, dtype=np.int64)
        columns = (table.categories + offsets[:-1])[is_known]
        starts = np.concatenate([[0], np.cumsum(is_known.sum(axis=1))])
        hot = sparse.csr_matrix((np.ones(len(columns)), columns, starts), shape=(rows, int(offsets[-1])))
        block = sparse.csr_matrix(np.concatenate([scaled, missing], axis=1))
        return sparse.hstack([block, hot], format="csr") if width else block

    settings = RIDGE if label.task == "regression" else LOGISTIC
    kind = Ridge if label.task == "regression" else LogisticRegression
    estimator = kind(**settings)
    estimator.fit(matrix(train), y)
    return (lambda table: _answers(estimator, label, matrix(table))), settings


def _answers(estimator: Any, label: LabelSpec, inputs: Any) -> Array:
    if label.task == "regression":
        return np.asarray(estimator.predict(inputs), dtype=np.float32)
    found = np.asarray(estimator.predict_proba(inputs), dtype=np.float32)
    classes = len(label.classes)
    places = np.zeros((len(found), classes), dtype=np.float32)
    places[:, estimator.classes_.astype(np.int64)] = found
    return places[:, 1] if label.task == "binary" else places
