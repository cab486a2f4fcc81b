"""The InferenceService of Knative's way: how it is rendered, and what it says. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from components.cluster.readiness import SOURCE_ANNOTATION, faults
from lockgate.rollout.resource import ModelRevision
from lockgate.rollout.seen import Health
from lockgate.shipping.manifest import DIGEST_ANNOTATION, service_of
from serving.controller.cluster import pods as pod
from serving.controller.ports import Side

Object = dict[str, Any]
# What Knative's own controller decides, or refuses in a pod.
NOT_KNATIVE = (
    "deploymentStrategy", "securityContext", "terminationGracePeriodSeconds", "topologySpreadConstraints",
)  # fmt: skip


@dataclass(frozen=True)
class Split:
    """The InferenceService as it is.

    `digest` is that of the model that it names, `percent` its wanted share (None: all). `share` is what the
    newest revision gets; `is_ready` says that this is the named model's. `is_rolled_out` says that KServe
    counts it as the one that requests go back to.
    """

    digest: str
    percent: int | None
    share: int
    is_ready: bool
    is_rolled_out: bool


def service(model: str, namespace: str, revision: ModelRevision, percent: int | None) -> Object:
    """The InferenceService of a model.

    Args:
        model: its name, and the object's.
        namespace: of the object.
        revision: the one that the newest Knative revision is to serve.
        percent: its share of the requests; None for all of them, for good.
    """
    made = service_of(model, namespace, revision)
    metadata, predictor = made["metadata"], made["spec"]["predictor"]
    metadata["name"] = model
    metadata["labels"].pop("networking.kserve.io/visibility")
    metadata["annotations"].pop("serving.kserve.io/autoscalerClass")
    metadata["annotations"]["serving.kserve.io/deploymentMode"] = "Knative"
    for field in NOT_KNATIVE:
        predictor.pop(field)
    if percent is not None:
        predictor["canaryTrafficPercent"] = percent
    return made


def split(there: Mapping[str, Any]) -> Split:
    """Reads an InferenceService."""
    status = (there.get("status") or {}).get("components", {}).get("predictor", {})
    newest, ready = status.get("latestCreatedRevision"), status.get("latestReadyRevision")
    targets = status.get("traffic") or ()
    return Split(
        digest=(there["metadata"].get("annotations") or {}).get(DIGEST_ANNOTATION, ""),
        percent=there["spec"]["predictor"].get("canaryTrafficPercent"),
        share=sum(t.get("percent") or 0 for t in targets if t.get("latestRevision")),
        is_ready=bool(newest) and newest == ready,
        is_rolled_out=bool(ready) and status.get("latestRolledoutRevision") == ready,
    )


def is_back(now: Split) -> bool:
    """Whether KServe has all requests back at the revision before: only then may this one be replaced."""
    return now.percent == 0 and not now.is_rolled_out


def holding(pods: Sequence[Object], address: str) -> list[Object]:
    """The pods that hold the model folder at an address."""
    return [p for p in pods if (p["metadata"].get("annotations") or {}).get(SOURCE_ANNOTATION) == address]


def health(side: Side, revision: ModelRevision, now: Split, pods: Sequence[Object]) -> Health:
    """How a revision is, before any pod was asked.

    Args:
        side: whose revision it is.
        revision: as it is wanted.
        now: the InferenceService.
        pods: those that hold the revision's model.
    """
    is_named = now.digest == revision.digest
    if side == "candidate" and not is_named:
        return Health(state="absent", reason="the InferenceService names another model")
    living = [p for p in pods if not pod.is_leaving(p)]
    found = [fault for p in living for fault in faults(p)]
    ready = sum(map(pod.is_ready, living))

    def so(state: Literal["starting", "ready", "hopeless"], reason: str = "") -> Health:
        return Health(state=state, reason=reason, ready_pods=ready)

    if hopeless := next((fault.reason for fault in found if fault.is_hopeless), ""):
        return so("hopeless", hopeless)
    if ready < revision.replicas:
        doubt = next((fault.reason for fault in found), "")
        return so("starting", doubt or f"{ready} of {revision.replicas} pods are ready")
    if is_named and not now.is_ready:
        return so("starting", "Knative has not made its newest revision ready yet")
    return so("ready")
