"""The manifest that a cluster would get: one immutable InferenceService per model revision."""

import math
import re
from typing import Any

import yaml

STORE_VARIABLE = "LOCKGATE_STORE"
STORE_PLACEHOLDER = "gs://REPLACE-WITH-YOUR-BUCKET/models"
RUNTIME = "lockgate-tensorflow"
LONGEST_NAME = 63 - len("-predictor")


def revision(name: str, digest: str) -> str:
    """The name of a model's revision: `<name>-<first 8 digits of the digest>`."""
    return f"{name}-{digest[:8]}"


def inference_service(
    name: str, digest: str, store: str, memory_mb: float, limit_mb: float
) -> dict[str, Any]:
    """The InferenceService of a revision.

    Args:
        name: the model's name, which stays the same over its revisions; also its name in the URL.
        digest: of the model's content; the runtime refuses to load anything else.
        store: where model folders lie in the cluster's reach, such as gs://bucket/models.
        memory_mb: what the server was measured to need; requested with a quarter more.
        limit_mb: the memory at which the server may be stopped (serving.memory_mb).

    Raises:
        ValueError: the name makes no Kubernetes name.
    """
    full = revision(name, digest)
    if len(full) > LONGEST_NAME or not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", full):
        raise ValueError(f"{full} is no Kubernetes name of at most {LONGEST_NAME} characters")
    requested = min(math.ceil(memory_mb * 1.25), math.ceil(limit_mb))
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": full,
            "labels": {"lockgate.dev/model": name, "networking.kserve.io/visibility": "cluster-local"},
            "annotations": {
                "serving.kserve.io/deploymentMode": "Standard",
                "lockgate.dev/digest": digest,
            },
        },
        "spec": {
            "predictor": {
                "minReplicas": 1,
                "model": {
                    "modelFormat": {"name": RUNTIME},
                    "runtime": RUNTIME,
                    "protocolVersion": "v2",
                    "storageUri": f"{store.rstrip('/')}/{digest}",
                    "args": [f"--name={name}"],
                    "resources": {
                        "requests": {"cpu": "1", "memory": f"{requested}M"},
                        "limits": {"memory": f"{math.ceil(limit_mb)}M"},
                    },
                },
            }
        },
    }


def render(service: dict[str, Any]) -> bytes:
    """The manifest as YAML, keys in the order given."""
    return yaml.safe_dump(service, sort_keys=False, allow_unicode=True).encode()
