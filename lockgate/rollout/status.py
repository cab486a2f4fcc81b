"""A ModelRollout as Kubernetes holds it: how the model and its rollout stand."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from pydantic import Field

from lockgate.rollout.policy import Part
from lockgate.rollout.readings import Reading

Stage = Literal["", "installing", "preparing", "mirroring", "stepping", "soaking", "promoted", "rolledBack"]
Phase = Literal[
    "Idle", "Preparing", "Mirroring", "Stepping", "Soaking", "Promoted", "Holding", "RolledBack", "Error"
]
HISTORY = 10
# A rollout is under way; its candidate is judged.
ACTIVE = frozenset({"preparing", "mirroring", "stepping", "soaking"})
JUDGED = frozenset({"mirroring", "stepping", "soaking"})


class Rejected(Part):
    """The candidate that was rolled back last; it is not tried again unless that is asked for."""

    digest: str = Field(description="The model's digest.")
    reason: str = Field(description="Why, in a word.")
    message: str = Field(description="Why, in a sentence.")
    retry: str = Field(default="", description="What the annotation lockgate.dev/retry was then.")
    is_out: bool = Field(default=False, description="Whether the spec has been without it since.")


class Past(Part):
    """A rollout that ended."""

    candidate: str = Field(description="The candidate's digest.")
    outcome: Literal["Promoted", "RolledBack", "Superseded", "Withdrawn"] = Field(
        description="What became of it."
    )
    reason: str = Field(description="Why, in a word.")
    message: str = Field(description="Why, in a sentence.")
    weight: int = Field(description="The largest share of the requests that it had, in percent.")
    started: datetime = Field(description="When it began.")
    ended: datetime = Field(description="When it ended.")


class Condition(Part):
    """A condition as Kubernetes' API conventions have it."""

    type: str = Field(description="What is true or not: Ready, Progressing, Analysing, Settled.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it is.")
    reason: str = Field(description="Why, in a word.")
    message: str = Field(default="", description="Why, in a sentence.")
    last_transition_time: datetime = Field(description="When the status changed last.")
    observed_generation: int = Field(default=0, description="The generation of the spec that it tells of.")


class Status(Part):
    """How a model and its rollout stand."""

    observed_generation: int = Field(default=0, description="The generation of the spec that was looked at.")
    phase: Phase = Field(default="Idle", description="How the rollout stands, for people.")
    stage: Stage = Field(
        default="", description="How far the rollout has come; it stays while the phase is Holding."
    )
    reason: str = Field(default="", description="Why, in a word.")
    message: str = Field(default="", description="Why, in a sentence.")
    stable: str = Field(
        default="",
        description="The digest of the revision that serves, which the spec may already have replaced.",
    )
    candidate: str = Field(
        default="", description="The digest of the revision of the present or the last rollout."
    )
    stable_revision: str = Field(default="", description="The name of the revision that serves.")
    candidate_revision: str = Field(
        default="", description="The name of the revision of the present or the last rollout."
    )
    step: int = Field(default=-1, description="The present step's place in spec.steps; -1 before the first.")
    step_text: str = Field(default="", description="The present step of all, as 2/5.")
    weight: int = Field(default=0, description="The candidate's wanted share of the requests in percent.")
    written: int | None = Field(
        default=None, description="The share that the route was last given, in percent."
    )
    observed: str = Field(
        default="",
        description="The candidate's share of the requests that were counted, in percent, with its bounds.",
    )
    started: datetime | None = Field(default=None, description="When the rollout began.")
    since: datetime | None = Field(default=None, description="When the present stage or step began.")
    settled: bool = Field(
        default=True,
        description="Whether the spec, or Git where there is one, says how the last rollout ended.",
    )
    is_held: bool = Field(default=False, description="Whether the rollout cannot go on.")
    rejected: Rejected | None = Field(
        default=None,
        description="The candidate that was rolled back last; it is not tried again unless asked for.",
    )
    retiring: Mapping[str, datetime] = Field(
        default={}, description="Revisions without traffic, by name, and since when."
    )
    measurements: tuple[Reading, ...] = Field(default=(), description="What was measured at the last look.")
    conditions: tuple[Condition, ...] = Field(
        default=(),
        description="What is true of the rollout.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    history: tuple[Past, ...] = Field(default=(), description="The last rollouts, the latest first.")
    replicas: int = Field(default=0, description="How many pods of spec.stable take requests.")
    selector: str = Field(default="", description="The labels of the stable revision's pods.")
