"""A ModelRollout as Kubernetes holds it: what is wanted. How it stands says `lockgate.rollout.status`."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from lockgate.rollout.policy import STEPS, Analysis, Mirror, Part, Policy, Steps

GROUP = "lockgate.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "ModelRollout"
PLURAL = "modelrollouts"
GATEWAY = "kserve/kserve-ingress-gateway"
NAME = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"

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
