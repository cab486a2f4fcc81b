"""The sections of project.yaml, with their defaults and the checks that project.yaml alone allows."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from lockgate.project.cluster import Cluster, Images, Push, Schedule, Toleration, TrainingPods
from lockgate.project.data import (
    Cross,
    Data,
    DatePart,
    Feature,
    Limits,
    RandomSplit,
    Selection,
    Slice,
    Span,
    TimeSplit,
    Validation,
)
from lockgate.project.model import Choice, Costs, Evaluation, Model, ModelRules, Serving, Training, Tuning
from lockgate.project.rollout import Rollout
from lockgate.project.section import Section
from lockgate.records import Split

__all__ = [
    "TASK_METRICS",
    "Choice",
    "Cluster",
    "Costs",
    "Cross",
    "Data",
    "DatePart",
    "Evaluation",
    "Feature",
    "Images",
    "Limits",
    "Model",
    "ModelRules",
    "Project",
    "Push",
    "RandomSplit",
    "Rollout",
    "Schedule",
    "Section",
    "Selection",
    "Serving",
    "Slice",
    "Span",
    "TimeSplit",
    "Toleration",
    "Training",
    "TrainingPods",
    "Tuning",
    "Validation",
]

TASK_METRICS: Mapping[str, str] = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}


def _slug(value: str) -> str:
    # With a revision's digest and KServe's own endings it must fit into a label of 63 characters.
    if not re.fullmatch(r"[a-z]([a-z0-9-]{0,37}[a-z0-9])?", value):
        raise ValueError(
            "use up to 39 lower-case letters, digits and '-', a letter first, no '-' last "
            "(it names Kubernetes objects)"
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
    cluster: Cluster = Cluster()
    push: Push = Push()
    rollout: Rollout = Rollout()
    schedules: Mapping[str, Schedule] = Field(default_factory=dict, description="Recurring runs, by name.")

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
        """The same project with everything optional at its default but these sections, or keys of sections.

        A step is given only what it reads, so that a change elsewhere does not run it again.

        Args:
            sections: names such as "split", or "evaluate.metric" for one key of a section.
        """
        kept: dict[str, Any] = {name: getattr(self, name) for name in ("name", "task", "data")}
        keys: dict[str, dict[str, Any]] = {}
        for name, _, key in (section.partition(".") for section in sections):
            if key:
                keys.setdefault(name, {})[key] = getattr(getattr(self, name), key)
            else:
                kept[name] = getattr(self, name)
        partial = {name: type(getattr(self, name))(**values) for name, values in keys.items()}
        return Project(**kept, **partial)
