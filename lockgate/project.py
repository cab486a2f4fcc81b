"""The sections of project.yaml, with their defaults and the checks that one section alone allows."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from lockgate.records import Severity, Split

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """Base class of every part of project.yaml: unknown keys are refused, values do not change."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Data(Section):
    """Where the raw data comes from and what its columns mean."""

    source: str = Field(description="A CSV or Parquet file, a folder of them, gs://…, or file.py:function.")
    label: str = Field(description="The column to predict.")
    positive: str | int | float | bool | None = Field(
        default=None,
        description="Binary tasks: the label's value that counts as positive (default: true or 1).",
    )
    time: str | None = Field(default=None, description="The column that says when a row happened.")
    keys: tuple[str, ...] = Field(
        default=(),
        description="Columns that name a row for a person; shown with mistakes, never learnt from.",
    )
    unavailable: tuple[str, ...] = Field(
        default=(),
        description="Columns known only after the moment of prediction; never allowed as features.",
    )
    partition: Literal["day", "month", "year"] = Field(
        default="month", description="How long a stretch of `time` one partition holds."
    )
    null_values: tuple[str, ...] = Field(
        default=("", "NA", "NaN", "null"), description="CSV texts that mean missing."
    )
    dates: tuple[str, ...] = Field(default=(), description="CSV columns to parse as dates and times.")


Span = tuple[datetime, datetime]


class TimeSplit(Section):
    """Splits by the time column: each split is a half-open span [from, to)."""

    by: Literal["time"] = "time"
    train: Span
    tune: Span
    test: Span
    live: Span | None = None

    @model_validator(mode="after")
    def _check_spans(self) -> Self:
        for name, (start, end) in self.spans():
            if start >= end:
                raise ValueError(
                    f"split.{name} is empty: it runs from {start} to {end}; the end must be later"
                )
        spans = sorted(self.spans(), key=lambda item: item[1])
        for (first, (_, end)), (second, (start, _)) in pairwise(spans):
            if start < end:
                raise ValueError(
                    f"split.{first} and split.{second} overlap: {second} starts {start}, before {end}"
                )
        return self

    def spans(self) -> Iterator[tuple[Split, Span]]:
        """The splits that are set, with their spans."""
        for name in get_args(Split):
            if (span := getattr(self, name)) is not None:
                yield name, span


class RandomSplit(Section):
    """Splits by a hash of the row's content (or of `group`), so that a row never changes its split."""

    by: Literal["random"] = "random"
    tune: Fraction = 0.15
    test: Fraction = 0.2
    live: Fraction = 0.0
    group: str | None = Field(default=None, description="Rows with the same value stay in the same split.")
    folds: int = Field(
        default=0, ge=0, description="k of k-fold cross-validation over train and tune; 0: none."
    )
    seed: int = 7

    @model_validator(mode="after")
    def _check_sum(self) -> Self:
        if (total := self.tune + self.test + self.live) >= 1:
            raise ValueError(
                f"split: tune, test and live add up to {total:g}; they must leave rows to train on"
            )
        return self


DatePart = Literal["month", "day_of_year", "day", "weekday", "hour", "minute"]


class Feature(Section):
    """How one raw column enters the model. What is not set follows from the column's type."""

    kind: Literal["number", "category", "date"] | None = Field(
        default=None, description="Default: by type; strings and booleans are categories, dates are dates."
    )
    missing: Literal["category", "mean", "median", "flag_mean", "flag_median"] | None = Field(
        default=None,
        description="Numbers: filled by mean or median, with or without a 0/1 flag beside it "
        "(default flag_median). Categories: a category of its own.",
    )
    clip: tuple[Fraction, Fraction] | None = Field(
        default=None,
        description="Numbers: quantiles of the training split to clip to, such as [0.001, 0.999].",
    )
    log: bool = Field(default=False, description="Numbers: sign(x)·ln(1+|x|) before scaling.")
    bins: int = Field(
        default=0, ge=0, description="Numbers: also cut into so many quantile bins, each learnt."
    )
    min_count: Count = Field(default=1, description="Categories: rarer values share one place.")
    max_values: Count = Field(
        default=100_000, description="Categories: at most so many values have their own place."
    )
    embedding: int | None = Field(
        default=None,
        ge=0,
        description="Categories: width of the embedding; 0: one-hot; default by vocabulary.",
    )
    parts: tuple[DatePart, ...] = Field(
        default=("month", "weekday", "hour"), description="Dates: the parts to use."
    )
    min: float | None = Field(default=None, description="Smallest value that the data gate allows.")
    max: float | None = Field(default=None, description="Largest value that the data gate allows.")
    max_missing: Fraction | None = Field(default=None, description="Largest share of missing values allowed.")


class Cross(Section):
    """Two or more features as one category; hashed into `bins` places."""

    of: tuple[str, ...] = Field(min_length=2)
    bins: Count = 1000
    embedding: int | None = Field(default=None, ge=0)

    @property
    def name(self) -> str:
        """The name of the crossed feature."""
        return "_x_".join(self.of).replace(".", "_")


class Slice(Section):
    """A part of the rows to look at on its own: each value of `column`, or each of its quantile ranges."""

    column: str
    bins: int = Field(default=0, ge=0, description="Numbers: cut into so many quantile ranges.")
    min_rows: Count = Field(default=100, description="Fewer training rows than this is sampling bias.")


class Limits(Section):
    """Limits of the data gate. Those on drift are on top of what chance alone would give."""

    missing: Fraction = 0.5
    duplicates: Fraction = 0.05
    overlap: Fraction = 0.0
    minority: Fraction = 0.01
    new_categories: Fraction = 0.01
    skew: Fraction = 0.1
    drift: Fraction = 0.15
    leakage: Fraction = Field(default=0.9, description="AUC (or share of variance) of one column alone.")
    confidence: Fraction = Field(default=0.999, description="Of the allowance for sample size.")


class Validation(Section):
    """The data gate."""

    schema_file: str = Field(default="schema.pbtxt", description="Kept in Git beside project.yaml.")
    severity: Mapping[str, Severity | Literal["off"]] = Field(
        default_factory=dict, description="By rule's name."
    )
    limits: Limits = Limits()


class Selection(Section):
    """Feature selection and dimension reduction."""

    drop_constant: bool = True
    drop_duplicated: bool = True
    min_information: float = Field(
        default=0.0,
        ge=0,
        description="Drop features whose mutual information with the label, in nats, is lower.",
    )
    keep: tuple[str, ...] = Field(default=(), description="Features that are never dropped.")
    components: int = Field(
        default=0, ge=0, description="Reduce the numbers to so many principal components; 0: off."
    )


class Model(Section):
    """The built-in network, or the user's own."""

    function: str | None = Field(default=None, description="file.py:function that returns a keras.Model.")
    hidden: tuple[Count, ...] = (128, 64)
    activation: str = "relu"
    dropout: Fraction = 0.0
    l2: float = Field(default=0.0, ge=0)
    wide: bool = Field(default=True, description="A linear part beside the deep one.")
    embedding_dropout: Fraction = 0.0
    members: int = Field(default=1, ge=1, le=16, description="Networks averaged inside the one model.")
    batch_norm: bool = False


class Training(Section):
    """The training loop."""

    epochs: Count = 10
    batch_size: Count = 1024
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: Positive = 1e-3
    schedule: Literal["constant", "cosine"] = "constant"
    weight_decay: float = Field(default=0.0, ge=0)
    ema: bool = Field(default=False, description="Exponential moving average of the weights.")
    label_smoothing: Fraction = 0.0
    patience: int = Field(
        default=3, ge=0, description="Epochs without gain on tune before stopping; 0: never stop."
    )
    class_weight: Literal["none", "balanced"] = "none"
    mixed_precision: bool = False
    clip_norm: float | None = Field(default=None, gt=0)
    workers: Count = 1
    shards: int = Field(
        default=0, ge=0, description="Logical input shards, a multiple of workers; 0: as many as workers."
    )
    checkpoint_steps: Count = 200
    max_restarts: int = Field(default=3, ge=0)
    step_timeout: Positive = Field(
        default=120.0, description="Seconds without a step before a worker is lost."
    )
    peer_timeout: Positive = Field(
        default=300.0, description="Seconds to wait for the other workers to appear."
    )
    baseline: Literal["gradient_boosting", "linear", "both"] = "both"
    seed: int = 7


class Choice(Section):
    """The values that tuning may try for one setting: a list, or a range."""

    values: tuple[float | int | str | bool | tuple[int, ...], ...] = ()
    low: float | None = None
    high: float | None = None
    log: bool = False

    @model_validator(mode="after")
    def _check_form(self) -> Self:
        if bool(self.values) == (self.low is not None and self.high is not None):
            raise ValueError("give either values: […], or low: and high:")
        return self


class Tuning(Section):
    """Search over settings of `model` and `train`; the best on the tune split is used."""

    trials: int = Field(default=0, ge=0, description="0: no search.")
    epochs: Count = 3
    space: Mapping[str, Choice] = Field(
        default_factory=dict, description="By setting, such as train.learning_rate."
    )


class Costs(Section):
    """What a wrong decision costs, in the user's own unit."""

    false_positive: Positive = 1.0
    false_negative: Positive = 1.0
    unit: str = "points"


class ModelRules(Section):
    """The model gate. A rule whose limit is not set is not applied."""

    minimum: Mapping[str, float] = Field(
        default_factory=dict, description="Smallest metric value, by metric."
    )
    maximum: Mapping[str, float] = Field(default_factory=dict, description="Largest metric value, by metric.")
    baseline_gain: float | None = Field(
        default=0.0, description="The main metric must beat each baseline's by at least this much."
    )
    champion_margin: float = Field(
        default=0.0,
        ge=0,
        description="How much worse than the champion the main metric may be (non-inferiority).",
    )
    first_model: Literal["allow", "refuse"] = Field(
        default="allow", description="What to do when there is no champion."
    )
    slice_drop: float | None = Field(
        default=None, ge=0, description="How much worse than overall the main metric may be on a slice."
    )
    fairness_gap: float | None = Field(default=None, ge=0, description="Largest gap between groups.")
    confidence: Fraction = 0.95


class Evaluation(Section):
    """The model gate, and what the evaluation page shows."""

    metric: str | None = Field(
        default=None,
        description="The main metric. Default: roc_auc (binary), log_loss (multiclass), rmse (regression).",
    )
    costs: Costs | None = None
    slices: tuple[Slice, ...] = ()
    fairness: tuple[str, ...] = Field(default=(), description="Columns whose groups must be treated alike.")
    rules: ModelRules = ModelRules()
    mistakes: int = Field(default=10, ge=0, description="How many of the worst mistakes to show.")
    importance_rows: Count = Field(
        default=20_000, description="Rows that permutation importance is computed on."
    )
    bootstrap: Count = Field(default=1000, description="Resamples behind each confidence interval.")


class Serving(Section):
    """The serving gate's budget, and how the model is served."""

    rows: int = Field(default=10_000, ge=1, description="Rows sent down both paths.")
    load_seconds: Positive = 30.0
    latency_ms: Positive = Field(default=50.0, description="p99 of one-row requests, in milliseconds.")
    memory_mb: Positive = 1500.0


TASK_METRICS: Mapping[str, str] = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}


def _slug(value: str) -> str:
    if (
        not value
        or len(value) > 40
        or not value.replace("-", "").isalnum()
        or not value.isascii()
        or value != value.lower()
        or not value[0].isalpha()
    ):
        raise ValueError(
            "use up to 40 lower-case letters, digits and '-', a letter first (it names Kubernetes objects)"
        )
    return value


def _split_kind(value: Any) -> Any:
    if isinstance(value, dict) and "by" not in value:
        spans = any(isinstance(value.get(name), (list, tuple)) for name in get_args(Split))
        return {"by": "time" if spans else "random", **value}
    return value


def _bare_features(value: Any) -> Any:
    return {k: v or {} for k, v in value.items()} if isinstance(value, dict) else value


class Project(Section):
    """project.yaml."""

    name: Annotated[str, AfterValidator(_slug)]
    description: str = ""
    task: Literal["binary", "multiclass", "regression"]
    data: Data
    split: Annotated[TimeSplit | RandomSplit, Field(discriminator="by"), BeforeValidator(_split_kind)] = (
        RandomSplit()
    )
    features: Annotated[Mapping[str, Feature], BeforeValidator(_bare_features)] = Field(
        default_factory=dict,
        description="By column; none: every column but label, time, keys and unavailable ones.",
    )
    crosses: tuple[Cross, ...] = ()
    validation: Validation = Validation()
    selection: Selection = Selection()
    model: Model = Model()
    train: Training = Training()
    tune: Tuning = Tuning()
    evaluate: Evaluation = Evaluation()
    serving: Serving = Serving()

    @model_validator(mode="after")
    def _check_features(self) -> Self:
        for name in self.features:
            if name == self.data.label:
                raise ValueError(f"features.{name} is the label; take it out of features")
            if name in self.data.unavailable:
                raise ValueError(
                    f"features.{name} is listed in data.unavailable: it is known only after the prediction"
                )
        if isinstance(self.split, TimeSplit) and self.data.time is None:
            raise ValueError(
                "split is by time, but data.time is not set; name the column that says when a row happened"
            )
        return self

    @property
    def metric(self) -> str:
        """The metric that models are compared by."""
        return self.evaluate.metric or TASK_METRICS[self.task]

    def features_of(self, columns: Mapping[str, Any] | list[str]) -> dict[str, Feature]:
        """The features to use, by column: those named, or every column that is not set aside."""
        if self.features:
            return dict(self.features)
        aside = {self.data.label, self.data.time, *self.data.keys, *self.data.unavailable}
        return {name: Feature() for name in columns if name not in aside}

    def only(self, *sections: str) -> "Project":
        """The same project with every other optional section at its default.

        A step is given only the sections that it reads, so that a change elsewhere does not run it again.
        """
        kept = {"name", "task", "data", *sections}
        return Project(**{name: getattr(self, name) for name in kept})
