"""What a rollout is to do and to be judged by: `spec.steps` and `spec.analysis` of a ModelRollout."""

from bisect import bisect_right
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

MeasureName = Literal["errors", "latency", "scores", "agreement", "labels"]
MEASURES: tuple[MeasureName, ...] = ("errors", "latency", "scores", "agreement", "labels")


class Part(BaseModel):
    """A part of a ModelRollout: camelCase in Kubernetes, snake_case here."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        ser_json_inf_nan="strings",
        alias_generator=to_camel,
        populate_by_name=True,
    )


class Step(Part):
    """A share of the traffic in percent, and the least time that it lasts."""

    weight: int = Field(ge=1, le=100, description="The candidate's share of the requests in percent.")
    seconds: float = Field(default=60.0, ge=0, description="The least time that the step lasts.")


class Difference(Part):
    """Two limits on how much higher the candidate's share of something may be than the stable's.

    Proved to exceed `tolerance`: rolled back. Proved to stay below `margin`: fine.
    """

    tolerance: float = Field(default=0.0, ge=0, le=1, description="More than this is bad.")
    margin: float = Field(default=0.01, gt=0, le=1, description="Surely less than this is fine.")

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.margin <= self.tolerance:
            raise ValueError(
                f"margin is {self.margin:g}, which must be more than tolerance, {self.tolerance:g}"
            )
        return self


class Latency(Difference):
    """The share of requests that took longer than a limit."""

    tolerance: float = Field(default=0.01, ge=0, le=1, description="More than this is bad.")
    margin: float = Field(default=0.05, gt=0, le=1, description="Surely less than this is fine.")
    limit_ms: float | None = Field(
        default=None, gt=0, description="Default: what 95 % of the stable's requests have taken at most."
    )
    warmup_seconds: float = Field(
        default=60.0, ge=0, description="A new server's first requests are slower; they count for nothing."
    )


class Scores(Difference):
    """The difference of the score distributions, at each bound of the servers' histogram."""

    tolerance: float = Field(default=0.1, ge=0, le=1, description="More than this is bad.")
    margin: float = Field(default=0.2, gt=0, le=1, description="Surely less than this is fine.")


class Agreement(Part):
    """Answers to the same request: how many may differ, and by how much on average."""

    labels: float = Field(default=0.1, gt=0, lt=1, description="Largest share of other decisions.")
    size: float = Field(default=0.1, gt=0, lt=1, description="Largest mean difference of scores.")
    requests: int = Field(default=100, ge=0, description="Mirrored requests before live ones.")


class Labels(Part):
    """The candidate's loss beyond the stable's on the same labelled requests, in [-1, 1]."""

    tolerance: float = Field(default=0.0, ge=0, lt=1, description="More than this is bad.")
    uri: str = Field(
        default="",
        max_length=1024,
        description="Where losses on labelled requests are written: gs://bucket/path, below it "
        "labels/<model>/<first 8 digits of the candidate's digest>/. Empty: nowhere.",
    )


class Infrastructure(Part):
    """What the pods may do."""

    restarts: int = Field(default=2, ge=1, description="So many more than the stable's are bad.")
    memory: float = Field(default=0.95, gt=0, le=1, description="Share of the limit that is near it.")
    memory_looks: int = Field(default=3, ge=1, description="Looks in a row with so much memory.")


class Mirror(Part):
    """Copies of requests, whose answers nobody gets."""

    percent: int = Field(default=10, ge=0, le=100, description="0: no mirroring.")
    seconds: float = Field(default=60.0, ge=0, description="The least time of the mirroring phase.")


class Analysis(Part):
    """What a rollout is judged by."""

    measures: tuple[MeasureName, ...] = Field(
        default=MEASURES, max_length=len(MEASURES), description="Those that judge."
    )
    alpha: float = Field(
        default=0.01, gt=0, lt=0.5, description="Chance to roll back a candidate that is fine."
    )
    power: float = Field(
        default=0.9,
        gt=0.5,
        lt=1,
        description="Chance to keep a candidate from a step that it is not fit for.",
    )
    interval_seconds: float = Field(default=10.0, gt=0, description="Between two looks.")
    deadline_seconds: float = Field(default=3600.0, gt=0, description="For a step; then the candidate goes.")
    soak_seconds: float = Field(default=300.0, ge=0, description="At 100 %, before the stable is retired.")
    prepare_seconds: float = Field(default=600.0, gt=0, description="For the candidate's pods to be ready.")
    drain_seconds: float = Field(
        default=60.0, ge=0, description="From the last request to the end of a revision."
    )
    errors: Difference = Field(default=Difference(), description="The share of requests that fail.")
    latency: Latency = Latency()
    scores: Scores = Scores()
    agreement: Agreement = Agreement()
    labels: Labels = Labels()
    infrastructure: Infrastructure = Infrastructure()
    split_tolerance: float = Field(
        default=0.2, gt=0, lt=1, description="Share of the wanted weight that the observed one may be off."
    )


STEPS = tuple(Step(weight=weight) for weight in (1, 5, 25, 50, 100))


def _rising(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    weights = [step.weight for step in steps]
    if weights != sorted(set(weights)) or weights[-1] != 100:
        raise ValueError(f"steps are {weights}; weights must rise, and the last must be 100")
    return steps


Steps = Annotated[
    tuple[Step, ...],
    Field(
        min_length=1,
        max_length=100,
        description="Weights that rise to 100, each with its least time.",
    ),
    AfterValidator(_rising),
]


class Policy(Part):
    """Steps, mirroring and analysis of one rollout."""

    steps: Steps = STEPS
    mirror: Mirror = Mirror()
    analysis: Analysis = Analysis()

    def next_weight(self, step: int) -> int:
        """The weight after this step; before the first step (-1) the first one's."""
        return self.steps[min(step + 1, len(self.steps) - 1)].weight

    def step_of(self, weight: int) -> int:
        """The place of the step that has this weight, or the next lower one; 0 below the first."""
        return max(0, bisect_right(self.carried, weight) - 1)

    @property
    def carried(self) -> tuple[int, ...]:
        """The weights that evidence has to carry: those of all steps, in order."""
        return tuple(step.weight for step in self.steps)
