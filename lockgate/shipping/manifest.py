"""The Kubernetes objects of a model: an immutable InferenceService per revision, one HTTPRoute for all."""

import math
import re
from collections.abc import Mapping
from typing import Any

import yaml

from lockgate.errors import ConfigError
from lockgate.project import Project
from lockgate.rollout.resource import ModelRevision
from lockgate.shipping.annotations import annotations
from lockgate.shipping.names import REVISION_LABEL, revision_name, service_name
from lockgate.shipping.record import ModelCard

STORE_VARIABLE = "LOCKGATE_STORE"
STORE_PLACEHOLDER = "gs://REPLACE-WITH-YOUR-BUCKET/models"
RUNTIME = "lockgate-tensorflow"
STORAGE = "lockgate"
SERVICE_ACCOUNT = "lockgate-serving"
MODEL_LABEL = "lockgate.dev/model"
DIGEST_ANNOTATION = "lockgate.dev/digest"
# KServe names a revision's pods by the label app=isvc.<name>-predictor, and labels have 63 characters.
LONGEST_NAME = 63 - len("isvc.") - len("-predictor")
HTTP_PORT = 80
GRPC_PORT = 8081
PATHS = {GRPC_PORT: ("/inference.GRPCInferenceService",), HTTP_PORT: ("/v1/models", "/v2")}
# The runtime answers for 10 s after it was told to stop, then has 30 s, HTTP and gRPC at once, to end what is
# in flight (manifests/base/serving-runtime.yaml); the rest is for the process's own end.
TERMINATION_SECONDS = 60
Object = dict[str, Any]


def model_revision(
    card: ModelCard, project: Project, store: str, row: Mapping[str, Any] | None = None
) -> ModelRevision:
    """What a ModelRollout says of a pushed model.

    Args:
        card: of the model; its digest is checked by the runtime, which loads nothing else.
        project: the sections push and serving.
        store: where model folders lie in the cluster's reach, such as gs://bucket/models.
        row: a real row to ask the model about.
    """
    address = f"{store.rstrip('/')}/{card.content}"
    return ModelRevision(
        digest=card.content,
        storage_uri=address,
        runtime=RUNTIME,
        resources=_resources(card.memory_mb, project),
        replicas=project.push.replicas,
        example=dict(row or {}),
        annotations=annotations(card, address),
    )


def inference_service(card: ModelCard, project: Project, store: str) -> Object:
    """The InferenceService of a pushed model; arguments as of `model_revision`.

    Raises:
        ConfigError: the model's name makes no Kubernetes name.
    """
    return service_of(card.name, project.cluster.namespace, model_revision(card, project, store))


def service_of(model: str, namespace: str, revision: ModelRevision) -> Object:
    """The InferenceService of a revision.

    Raises:
        ConfigError: the model's name makes no Kubernetes name.
    """
    name = revision_name(model, revision.digest)
    if len(name) > LONGEST_NAME or not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name):
        raise ConfigError(
            f"{name} is no name for Kubernetes objects.",
            f"It may have {LONGEST_NAME} lower-case letters, digits and '-', a letter first.",
            "Give the project a shorter name in project.yaml.",
        )
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {**_labels(model), "networking.kserve.io/visibility": "cluster-local"},
            "annotations": {
                "serving.kserve.io/deploymentMode": "Standard",
                # As many pods as minReplicas says, from the start: an autoscaler would begin with one.
                "serving.kserve.io/autoscalerClass": "none",
                "argocd.argoproj.io/sync-options": "PruneLast=true",
                DIGEST_ANNOTATION: revision.digest,
                **revision.annotations,
            },
        },
        "spec": {
            "predictor": {
                "minReplicas": revision.replicas,
                "deploymentStrategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
                },
                **_pod(name),
                "model": {
                    "modelFormat": {"name": RUNTIME},
                    "runtime": revision.runtime,
                    "protocolVersion": "v2",
                    "storageUri": revision.storage_uri,
                    # KServe's own placeholder is the revision's name; the model's stays over revisions.
                    "args": [f"--name={model}"],
                    "resources": {part: dict(given) for part, given in revision.resources.items()},
                },
            }
        },
    }


def http_route(card: ModelCard, project: Project) -> Object:
    """The HTTPRoute of a model with all its traffic on this revision: prediction paths only, no metrics.

    It stands in a later sync wave than the InferenceService, so that Argo CD moves traffic to a revision
    after it is healthy.
    """
    route = route_of(
        card.name,
        project.cluster.namespace,
        project.push.host or f"{card.name}.{project.cluster.namespace}.models",
        project.push.gateway,
        {revision_name(card.name, card.content): 100},
    )
    route["metadata"]["annotations"] = {"argocd.argoproj.io/sync-wave": "1"}
    return route


def route_of(
    model: str,
    namespace: str,
    host: str,
    gateway: str,
    weights: Mapping[str, int],
    *,
    mirror: tuple[str, int] | None = None,
    sticky: str = "",
) -> Object:
    """The HTTPRoute of a model.

    Args:
        model: its name, and the route's.
        namespace: of both.
        host: host name that clients ask for.
        gateway: namespace/name.
        weights: of the traffic, by revision, in percent.
        mirror: a revision that gets copies, and of how many percent of the requests.
        sticky: a header; a request whose header names a revision by its digest's first eight digits goes
        there.
    """
    parent_namespace, parent = gateway.split("/")
    every = [
        _rule(port, [{"path": {"type": "PathPrefix", "value": p}} for p in paths], weights, mirror)
        for port, paths in PATHS.items()
    ]
    pinned = [
        _rule(port, [_pinned(p, sticky, name) for p in paths], {name: 100}, None)
        for name in (weights if sticky and len(weights) > 1 else ())
        for port, paths in PATHS.items()
    ]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": model, "namespace": namespace, "labels": _labels(model)},
        "spec": {
            "parentRefs": [
                {
                    "group": "gateway.networking.k8s.io",
                    "kind": "Gateway",
                    "namespace": parent_namespace,
                    "name": parent,
                }
            ],
            "hostnames": [host],
            "rules": [*pinned, *every],
        },
    }


def _rule(
    port: int, matches: list[Object], weights: Mapping[str, int], mirror: tuple[str, int] | None
) -> Object:
    def backend(name: str) -> Object:
        return {"group": "", "kind": "Service", "name": service_name(name), "port": port}

    rule: Object = {
        "matches": matches,
        "backendRefs": [{**backend(name), "weight": weight} for name, weight in weights.items()],
    }
    if mirror is not None:
        copies = {"backendRef": backend(mirror[0]), "percent": mirror[1]}
        rule["filters"] = [{"type": "RequestMirror", "requestMirror": copies}]
    return rule


def _pinned(path: str, header: str, name: str) -> Object:
    return {
        "path": {"type": "PathPrefix", "value": path},
        "headers": [{"type": "Exact", "name": header, "value": name.rsplit("-", 1)[1]}],
    }


def routed(route: Mapping[str, Any]) -> tuple[str, ...]:
    """The revisions that an HTTPRoute sends traffic to, by name, each once."""
    backends = [b for rule in route["spec"]["rules"] for b in rule.get("backendRefs", ())]
    names = (b["name"].removesuffix("-predictor") for b in backends if b.get("weight", 1) > 0)
    return tuple(dict.fromkeys(names))


def render(manifest: Mapping[str, Any]) -> bytes:
    """The manifest as YAML, keys in the order given."""
    return yaml.safe_dump(dict(manifest), sort_keys=False, allow_unicode=True, width=110).encode()


def _labels(model: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/part-of": "lockgate",
        "app.kubernetes.io/component": "serving",
        MODEL_LABEL: model,
    }


def _pod(name: str) -> Object:
    """What KServe takes for the pods from an InferenceService alone, and never from a ServingRuntime."""
    return {
        "serviceAccountName": SERVICE_ACCOUNT,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": TERMINATION_SECONDS,
        "storageContainerName": STORAGE,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {REVISION_LABEL: name}},
            }
        ],
    }


def _resources(memory_mb: float | None, project: Project) -> Object:
    """Requests a quarter more memory than the serving gate measured; the limit is the gate's."""
    limit = math.ceil(project.serving.memory_mb)
    requested = min(math.ceil((memory_mb or limit) * 1.25), limit)
    return {
        "requests": {"cpu": project.push.cpu, "memory": f"{requested}M"},
        # Without a limit KServe sets one CPU; TensorFlow uses what it gets.
        "limits": {"cpu": project.push.cpu_limit, "memory": f"{limit}M"},
    }
