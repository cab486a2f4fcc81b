"""A ModelRollout as Kubernetes holds it: what is wanted (`Spec`) and what is (`Status`)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from lockgate.rollout.policy import STEPS, Analysis, Mirror, Part, Policy, Step
from lockgate.rollout.readings import Reading

GROUP = "lockgate.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "ModelRollout"
PLURAL = "modelrollouts"
HISTORY = 10

Stage = Literal["", "installing", "preparing", "mirroring", "stepping", "soaking", "promoted", "rolledBack"]
Phase = Literal[
    "Idle", "Preparing", "Mirroring", "Stepping", "Soaking", "Promoted", "Holding", "RolledBack", "Error"
]


class ModelRevision(Part):
    """One immutable revision of a model: what its InferenceService is made from.

    `example` is a real row of the input columns, for a probe prediction; `annotations` tell of the model
    card.
    """

    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    storage_uri: str
    runtime: str = "lockgate-tensorflow"
    resources: Mapping[str, Mapping[str, str]] = {}
    replicas: int = Field(default=2, ge=1)
    example: Mapping[str, Any] = {}
    annotations: Mapping[str, str] = {}


class Traffic(Part):
    """What splits the requests."""

    via: Literal["gateway", "knative"] = "gateway"
    gateway: str = Field(
        default="kserve/kserve-ingress-gateway", description="namespace/name of the Gateway."
    )


class Git(Part):
    """Where the ModelRollout is written down; promotion and rollback are commits there."""

    repository: str
    branch: str = "main"
    path: str = Field(description="The ModelRollout's file in the repository.")


class Spec(Part):
    """What is wanted of one model."""

    host: str
    stable: ModelRevision
    candidate: ModelRevision | None = None
    steps: tuple[Step, ...] = STEPS
    mirror: Mirror = Mirror()
    analysis: Analysis = Analysis()
    traffic: Traffic = Traffic()
    sticky_header: str = ""
    paused: bool = False
    git: Git | None = None

    def scaled(self, replicas: int | None) -> "Spec":
        """The spec with so many replicas of each revision; as it is for None."""
        if replicas is None:
            return self
        size = {"replicas": replicas}
        candidate = self.candidate and self.candidate.model_copy(update=size)
        return self.model_copy(update={"stable": self.stable.model_copy(update=size), "candidate": candidate})

    @property
    def policy(self) -> Policy:
        """The rollout's policy."""
        return Policy(steps=self.steps, mirror=self.mirror, analysis=self.analysis)


class Wishes(Part):
    """What people ask for by annotations `lockgate.dev/…`, which stay until they are taken away.

    `promote` and `abort` name the candidate that they mean, by its revision's name or its digest's first
    digits, so that none of them hits a later one. `retry` is any text; another text than at its rejection
    lets a rejected candidate try again.
    """

    paused: bool = False
    promote: str = ""
    abort: str = ""
    retry: str = ""
    replicas: int | None = None

    @classmethod
    def of(cls, annotations: Mapping[str, str]) -> "Wishes":
        """Reads them from an object's annotations; a number of replicas that is none is left out."""
        given = {key.removeprefix(f"{GROUP}/"): text for key, text in annotations.items()}
        replicas = given.get("replicas", "")
        return cls(
            paused=given.get("paused", "") == "true",
            promote=given.get("promote", ""),
            abort=given.get("abort", ""),
            retry=given.get("retry", ""),
            replicas=int(replicas) if replicas.isdigit() and int(replicas) else None,
        )


class Rejected(Part):
    """The candidate that was rolled back last; it is not tried again unless that is asked for."""

    digest: str
    reason: str
    message: str
    retry: str = ""


class Past(Part):
    """A rollout that ended."""

    candidate: str
    outcome: Literal["Promoted", "RolledBack", "Superseded", "Withdrawn"]
    reason: str
    message: str
    weight: int
    started: datetime
    ended: datetime


class Condition(Part):
    """A condition as Kubernetes' API conventions have it."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""
    last_transition_time: datetime
    observed_generation: int = 0


class Status(Part):
    """How a model and its rollout stand.

    `stable` is the digest of the revision that serves, which the spec may already have replaced; `candidate`
    that of the present or last rollout. `step` is the present step's place, -1 before the first. `weight` is
    the candidate's wanted share in percent, `written` the share that the route was last given. `settled` says
    that the book (the spec itself, or Git) has been told how the last rollout ended. `retiring` are
    revisions without traffic, by name, and since when.
    """

    observed_generation: int = 0
    phase: Phase = "Idle"
    stage: Stage = ""
    reason: str = ""
    message: str = ""
    stable: str = ""
    candidate: str = ""
    stable_revision: str = ""
    candidate_revision: str = ""
    step: int = -1
    step_text: str = ""
    weight: int = 0
    written: int | None = None
    observed: str = ""
    started: datetime | None = None
    since: datetime | None = None
    settled: bool = True
    is_held: bool = False
    rejected: Rejected | None = None
    retiring: Mapping[str, datetime] = {}
    measurements: tuple[Reading, ...] = ()
    conditions: tuple[Condition, ...] = ()
    history: tuple[Past, ...] = ()
