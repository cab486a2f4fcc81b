"""The sections on the cluster: where runs and training pods go, how models are pushed, recurring runs."""

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from lockgate.project.cron import check_cron
from lockgate.project.section import Count, Positive, Section


def _bucket(value: str | None) -> str | None:
    if value is not None and not value.startswith("gs://"):
        raise ValueError("give an address in a bucket, such as gs://bucket/lockgate")
    return value.rstrip("/") if value else value


def _host(value: str | None) -> str | None:
    label = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
    if value is not None and (len(value) > 253 or not re.fullmatch(rf"{label}(\.{label})*", value)):
        raise ValueError(
            "give a host name of lower-case letters, digits, '-' and '.', such as churn.example.org"
        )
    return value


def _no_secret(value: str | None) -> str | None:
    if value is not None and re.match(r"\w+://[^/@]*:[^/@]*@", value):
        raise ValueError("leave the password out of the URL; git takes it from a credential helper or a key")
    return value


def _gateway(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][-a-z0-9]*/[a-z0-9][-.a-z0-9]*", value):
        raise ValueError("give a Gateway as namespace/name, such as kserve/kserve-ingress-gateway")
    return value


class Toleration(Section):
    """A taint of nodes that training pods accept."""

    key: str
    operator: Literal["Exists", "Equal"] = "Exists"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None


class TrainingPods(Section):
    """The pods of a training with several workers, or on GPUs; each worker is one pod."""

    launcher: Literal["trainjob", "job"] = Field(
        default="trainjob",
        description="trainjob: Kubeflow Trainer; job: a plain Indexed Job, where Trainer is not installed.",
    )
    image: str | None = Field(default=None, description="Default: the image of the train step.")
    cpu: str = Field(default="1", description="Requested by each worker.")
    memory: str = Field(default="2Gi", description="Requested by each worker, and its limit.")
    gpus: int = Field(default=0, ge=0, description="By each worker.")
    gpu_resource: str = "nvidia.com/gpu"
    shared_memory: str | None = Field(
        default=None, description="Size of /dev/shm, such as 1Gi; NCCL uses it."
    )
    tolerations: tuple[Toleration, ...] = ()
    node_selector: Mapping[str, str] = Field(default_factory=dict)
    queue: str | None = Field(default=None, description="Kueue's LocalQueue that the job waits in.")


class Images(Section):
    """The steps' images; with a digest, what runs and what is taken from the cache is certain."""

    pipeline: str | None = Field(
        default=None, description="Such as registry.example.org/lockgate/pipeline:0.1.0@sha256:…"
    )
    trainer: str | None = Field(default=None, description="Of the steps tune and train.")


class Cluster(Section):
    """Where the pipeline runs when it is submitted; a run on this machine does not read it."""

    endpoint: str | None = Field(
        default=None, description="URL of the Kubeflow Pipelines API; KFP_ENDPOINT overrides it."
    )
    experiment: str | None = Field(default=None, description="Default: the project's name.")
    namespace: str = Field(default="lockgate", description="Of the training jobs and the served models.")
    workspace: Annotated[str | None, AfterValidator(_bucket)] = Field(
        default=None, description="The workspace of the runs, such as gs://bucket/flights."
    )
    service_account: str | None = Field(
        default=None, description="Of the steps' pods. Default: the one that the endpoint gives to runs."
    )
    images: Images = Images()
    training: TrainingPods = TrainingPods()


class Push(Section):
    """What a submitted run does with an approved model, beside writing its folder."""

    to: Literal["folder", "cluster", "git"] = Field(
        default="folder",
        description="folder: nothing more; cluster: server-side apply; git: a commit for GitOps.",
    )
    strategy: Literal["rollout", "replace"] = Field(
        default="rollout",
        description="rollout: the traffic rises as far as the evidence carries it; replace: all at once.",
    )
    repository: Annotated[str | None, AfterValidator(_no_secret)] = Field(
        default=None, description="URL of the Git repository, for to: git."
    )
    branch: str = "main"
    path: str = Field(
        default="manifests/models", description="Folder in the repository, one folder a model below it."
    )
    host: Annotated[str | None, AfterValidator(_host)] = Field(
        default=None, description="Host name of the model's route. Default: <name>.<namespace>.models."
    )
    gateway: Annotated[str, AfterValidator(_gateway)] = Field(
        default="kserve/kserve-ingress-gateway", description="namespace/name of the Gateway."
    )
    replicas: Count = 2
    cpu: str = Field(default="1", description="Requested by each replica.")
    cpu_limit: str = Field(default="2", description="Of each replica; its memory is serving.memory_mb.")
    ready_seconds: Positive = Field(
        default=600.0,
        description="With strategy: replace, for all replicas to answer before traffic moves; else an error.",
    )

    @model_validator(mode="after")
    def _check_repository(self) -> Self:
        if self.to == "git" and not self.repository:
            raise ValueError("to: git needs repository, the URL of a Git repository")
        return self


class Schedule(Section):
    """A recurring run, declared; `lockgate schedule` makes the cluster follow."""

    cron: Annotated[str, AfterValidator(check_cron)] = Field(
        description="Six fields, seconds first, UTC, as Kubeflow Pipelines reads them: 0 0 3 * * *."
    )
    enabled: bool = True
    max_concurrency: int = Field(default=1, ge=1, le=10)
    catch_up: bool = Field(default=False, description="Whether runs that were missed are made up for.")
