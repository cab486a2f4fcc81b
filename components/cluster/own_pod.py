"""What a step's own pod says: its image, its namespace, and the run that it belongs to."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.cluster.connection import Absent, Api

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True)
class OwnPod:
    """The pod of this process: its namespace, its image, an ownerReference to the run or to itself."""

    namespace: str
    image: str
    owner: Mapping[str, Any]


def own_pod(api: Api, environment: Mapping[str, str]) -> OwnPod | None:
    """The pod that this process runs in; None outside of one.

    POD_NAME and POD_NAMESPACE count where they are set; by themselves a pod's host has the pod's name, and
    its service account's files name the namespace.
    """
    is_inside = "KUBERNETES_SERVICE_HOST" in environment
    name = environment.get("POD_NAME") or (environment.get("HOSTNAME", "") if is_inside else "")
    namespace = environment.get("POD_NAMESPACE", "")
    if not namespace and is_inside and NAMESPACE_FILE.exists():
        namespace = NAMESPACE_FILE.read_text().strip()
    if not name or not namespace:
        return None
    try:
        return described(api.get(f"/api/v1/namespaces/{namespace}/pods/{name}"))
    except Absent:
        return None


def described(pod: Mapping[str, Any]) -> OwnPod:
    """What matters of a pod. Its owner is the Argo Workflow of the run: a retried step has another pod."""
    metadata = pod["metadata"]
    owners = metadata.get("ownerReferences", [])
    run = next((o for o in owners if o["kind"] == "Workflow"), None)
    run = run or {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
    containers = {c["name"]: c["image"] for c in pod["spec"]["containers"]}
    return OwnPod(
        namespace=metadata["namespace"],
        # Argo's sidecar stands beside the container that the step runs in, which it calls main.
        image=containers.get("main") or next(iter(containers.values())),
        owner={k: run[k] for k in ("apiVersion", "kind", "name", "uid")},
    )
