"""The sections on the model: the network, its training, the search, the model gate, serving."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from lockgate.project.data import Slice
from lockgate.project.section import Count, Fraction, Positive, Section


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
