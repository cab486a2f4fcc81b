"""The Kubernetes objects of a model: an immutable InferenceService per revision, one HTTPRoute for all."""

import math
import re
from collections.abc import Mapping
from typing import Any

import yaml

from lockgate.errors import ConfigError
from lockgate.project import Project
from lockgate.shipping.card import annotations
from lockgate.shipping.record import ModelCard

STORE_VARIABLE = "LOCKGATE_STORE"
STORE_PLACEHOLDER = "gs://REPLACE-WITH-YOUR-BUCKET/models"
RUNTIME = "lockgate-tensorflow"
STORAGE = "lockgate"
SERVICE_ACCOUNT = "lockgate-serving"
MODEL_LABEL = "lockgate.dev/model"
REVISION_LABEL = "serving.kserve.io/inferenceservice"
DIGEST_ANNOTATION = "lockgate.dev/digest"
# KServe names a revision's pods by the label app=isvc.<name>-predictor, and labels have 63 characters.
LONGEST_NAME = 63 - len("isvc.") - len("-predictor")
HTTP_PORT = 80
GRPC_PORT = 8081
# The runtime answers for 10 s after it was told to stop, then has 30 s, HTTP and gRPC at once, to end what is
# in flight (manifests/base/serving-runtime.yaml); the rest is for the process's own end.
TERMINATION_SECONDS = 60
Object = dict[str, Any]


def revision_name(model: str, digest: str) -> str:
    """The name of a model's revision: `<model>-<first 8 digits of the digest>`."""
    return f"{model}-{digest[:8]}"


def service_name(revision: str) -> str:
    """The Service that KServe makes for a revision; its port 80 is HTTP."""
    return f"{revision}-predictor"


def inference_service(card: ModelCard, project: Project, store: str) -> Object:
    """The InferenceService of a revision.

    Args:
        card: of the model; its digest is checked by the runtime, which loads nothing else.
        project: the sections cluster, push and serving.
        store: where model folders lie in the cluster's reach, such as gs://bucket/models.

    Raises:
        ConfigError: the model's name makes no Kubernetes name.
    """
    name = revision_name(card.name, card.content)
    if len(name) > LONGEST_NAME or not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name):
        raise ConfigError(
            f"{name} is no name for Kubernetes objects.",
            f"It may have {LONGEST_NAME} lower-case letters, digits and '-', a letter first.",
            "Give the project a shorter name in project.yaml.",
        )
    address = f"{store.rstrip('/')}/{card.content}"
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": name,
            "namespace": project.cluster.namespace,
            "labels": {**_labels(card.name), "networking.kserve.io/visibility": "cluster-local"},
            "annotations": {
                "serving.kserve.io/deploymentMode": "Standard",
                # As many pods as minReplicas says, from the start: an autoscaler would begin with one.
                "serving.kserve.io/autoscalerClass": "none",
                "argocd.argoproj.io/sync-options": "PruneLast=true",
                DIGEST_ANNOTATION: card.content,
                **annotations(card, address),
            },
        },
        "spec": {
            "predictor": {
                "minReplicas": project.push.replicas,
                "deploymentStrategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
                },
                **_pod(name),
                "model": {
                    "modelFormat": {"name": RUNTIME},
                    "runtime": RUNTIME,
                    "protocolVersion": "v2",
                    "storageUri": address,
                    # KServe's own placeholder is the revision's name; the model's stays over revisions.
                    "args": [f"--name={card.name}"],
                    "resources": _resources(card.memory_mb, project),
                },
            }
        },
    }


def http_route(card: ModelCard, project: Project) -> Object:
    """The HTTPRoute of a model with all its traffic on this revision: prediction paths only, no metrics.

    It stands in a later sync wave than the InferenceService, so that Argo CD moves traffic to a revision
    after it is healthy.
    """
    name = revision_name(card.name, card.content)
    namespace, gateway = project.push.gateway.split("/")

    def rule(port: int, *prefixes: str) -> Object:
        return {
            "matches": [{"path": {"type": "PathPrefix", "value": prefix}} for prefix in prefixes],
            "backendRefs": [
                {"group": "", "kind": "Service", "name": service_name(name), "port": port, "weight": 100}
            ],
        }

    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {
            "name": card.name,
            "namespace": project.cluster.namespace,
            "labels": _labels(card.name),
            "annotations": {"argocd.argoproj.io/sync-wave": "1"},
        },
        "spec": {
            "parentRefs": [
                {
                    "group": "gateway.networking.k8s.io",
                    "kind": "Gateway",
                    "namespace": namespace,
                    "name": gateway,
                }
            ],
            "hostnames": [project.push.host or f"{card.name}.{project.cluster.namespace}.models"],
            "rules": [
                rule(GRPC_PORT, "/inference.GRPCInferenceService"),
                rule(HTTP_PORT, "/v1/models", "/v2"),
            ],
        },
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
