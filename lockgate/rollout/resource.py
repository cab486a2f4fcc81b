"""A ModelRollout as Kubernetes holds it: what is wanted (`Spec`) and what is (`Status`)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from lockgate.rollout.policy import STEPS, Analysis, Mirror, Part, Policy, Steps
from lockgate.rollout.readings import Reading

GROUP = "lockgate.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "ModelRollout"
PLURAL = "modelrollouts"
HISTORY = 10
GATEWAY = "kserve/kserve-ingress-gateway"
NAME = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"

Stage = Literal["", "installing", "preparing", "mirroring", "stepping", "soaking", "promoted", "rolledBack"]
Phase = Literal[
    "Idle", "Preparing", "Mirroring", "Stepping", "Soaking", "Promoted", "Holding", "RolledBack", "Error"
]


Quantities = Annotated[Mapping[str, str], Field(description="Quantities by resource, such as cpu.")]


class ModelRevision(Part):
    """One immutable revision of a model: what its InferenceService is made from."""

    digest: str = Field(
        pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the model's folder; its server loads nothing else."
    )
    storage_uri: str = Field(
        max_length=1024, description="The model's folder, as gs://bucket/models/ and the digest."
    )
    runtime: str = Field(
        default="lockgate-tensorflow",
        min_length=1,
        max_length=253,
        description="The ClusterServingRuntime that serves it.",
    )
    resources: Mapping[Literal["requests", "limits"], Quantities] = Field(
        default={}, description="What each of its pods asks for and may take, as Kubernetes' quantities."
    )
    replicas: int = Field(default=2, ge=1, le=1000, description="How many pods serve it.")
    example: Mapping[str, Any] = Field(
        default={},
        description="A row of the input columns, which each pod must predict first.",
    )
    annotations: Mapping[str, str] = Field(
        default={}, description="Annotations of its InferenceService, which tell of the model card."
    )

    @model_validator(mode="after")
    def _check_address(self) -> Self:
        if not self.storage_uri.endswith(self.digest):
            raise ValueError(
                f"storageUri is {self.storage_uri}, which must end with the digest, {self.digest}"
            )
        return self


class Traffic(Part):
    """What splits the requests."""

    via: Literal["gateway", "knative"] = Field(
        default="gateway",
        description="gateway: an HTTPRoute over two InferenceServices. knative: canaryTrafficPercent of one.",
    )
    gateway: str = Field(
        default=GATEWAY,
        max_length=317,
        pattern=rf"^{NAME}/{NAME}(\.{NAME})*$",
        description="namespace/name of the Gateway.",
    )

    @model_validator(mode="after")
    def _check_gateway(self) -> Self:
        if self.via == "knative" and self.gateway != GATEWAY:
            raise ValueError(
                f"gateway is {self.gateway}, but Knative splits the requests; leave gateway out, or via"
            )
        return self


class Git(Part):
    """Where the ModelRollout is written down; promotion and rollback are commits there."""

    repository: str = Field(min_length=1, max_length=1024, description="The repository's address, for git.")
    branch: str = Field(
        default="main", min_length=1, max_length=255, description="The branch that is followed."
    )
    path: str = Field(min_length=1, max_length=1024, description="The ModelRollout's file in the repository.")


class Spec(Part):
    """What is wanted of one model."""

    host: str = Field(
        pattern=rf"^{NAME}(\.{NAME})*$", max_length=253, description="The host name that clients ask for."
    )
    stable: ModelRevision = Field(
        description="The revision that serves. The controller changes it at a promotion."
    )
    candidate: ModelRevision | None = Field(
        default=None,
        description="The revision that is to take the traffic; nothing, or the stable one: no rollout.",
    )
    steps: Steps = STEPS
    mirror: Mirror = Mirror()
    analysis: Analysis = Analysis()
    traffic: Traffic = Traffic()
    sticky_header: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9-]*$",
        max_length=256,
        description="A request header; one that names a revision by its digest's first eight digits goes "
        "there. Empty: none.",
    )
    paused: bool = Field(
        default=False, description="No step follows and no rollout begins; a bad candidate still goes back."
    )
    git: Git | None = Field(
        default=None,
        description="Where the ModelRollout is written down; promotion and rollback are commits there. "
        "Without it the controller changes the spec.",
    )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        candidate = self.candidate
        is_same = candidate is not None and candidate.digest == self.stable.digest
        if candidate and is_same and candidate.storage_uri != self.stable.storage_uri:
            raise ValueError("stable and candidate have one digest, and must have one storageUri")
        if self.traffic.via == "knative" and self.sticky_header:
            raise ValueError(
                f"stickyHeader is {self.sticky_header}, but Knative looks at no header; leave it out"
            )
        return self

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

    digest: str = Field(description="The model's digest.")
    reason: str = Field(description="Why, in a word.")
    message: str = Field(description="Why, in a sentence.")
    retry: str = Field(default="", description="What the annotation lockgate.dev/retry was then.")


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
