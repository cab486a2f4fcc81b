"""The pod that every worker is, the same one in a TrainJob and in an Indexed Job: pure functions."""

from typing import Any

from components.cluster.work import MODEL_LABEL, NODE, PART_OF, PORT, Work, label_of
from lockgate.training.exits import Exit
from lockgate.training.peers import PEERS, PLACE, WORKERS

SERVICE_ACCOUNT = "lockgate-trainer"
COMMAND = ["python", "-m", "lockgate.training.worker"]
SHARED_MEMORY = "shared-memory"
SCRATCH = "scratch"

# Exit codes that say what to do are acted on at once; all others count as a lost worker.
FAILURE_RULES: list[dict[str, Any]] = [
    {
        "action": "FailJob",
        "onExitCodes": {"containerName": NODE, "operator": "In", "values": [int(Exit.USER_ERROR)]},
    },
    {
        "action": "Ignore",
        "onExitCodes": {"containerName": NODE, "operator": "In", "values": [int(Exit.SAVED)]},
    },
    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
]


def environment(work: Work) -> list[dict[str, str]]:
    """The variables that tell a worker who its peers are, and those passed through."""
    own = {WORKERS: str(work.workers), PEERS: f"{work.child}-{PLACE}.{work.name}:{PORT}"}
    return [{"name": name, "value": value} for name, value in {**own, **work.environment}.items()]


def resources(work: Work) -> dict[str, Any]:
    """Requests and limits of a worker; a GPU's request is its limit, as Kubernetes wants it."""
    pods = work.pods
    limits = {"memory": pods.memory}
    if pods.gpus:
        limits[pods.gpu_resource] = str(pods.gpus)
    return {"requests": {**limits, "cpu": pods.cpu}, "limits": limits}


def labels(work: Work) -> dict[str, str]:
    """Labels of the pods."""
    return {**PART_OF, MODEL_LABEL: label_of(work.model)}


def placement(work: Work) -> dict[str, Any]:
    """Where the pods may run, how long they have to save, and their shared memory: parts of a pod's spec."""
    found: dict[str, Any] = {"terminationGracePeriodSeconds": work.grace_seconds}
    if work.pods.node_selector:
        found["nodeSelector"] = dict(work.pods.node_selector)
    if work.pods.tolerations:
        found["tolerations"] = [t.model_dump(exclude_none=True) for t in work.pods.tolerations]
    if work.pods.shared_memory:
        memory = {"medium": "Memory", "sizeLimit": work.pods.shared_memory}
        found["volumes"] = [{"name": SHARED_MEMORY, "emptyDir": memory}]
    return found


def mounts(work: Work) -> list[dict[str, str]]:
    """What `placement` gives volumes for."""
    return [{"name": SHARED_MEMORY, "mountPath": "/dev/shm"}] if work.pods.shared_memory else []  # noqa: S108


def pod_spec(work: Work) -> dict[str, Any]:
    """A whole pod; the template in manifests/base/training-runtime.yaml says the same for a TrainJob."""
    where = placement(work)
    return {
        **where,
        "restartPolicy": "Never",
        "serviceAccountName": SERVICE_ACCOUNT,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "subdomain": work.name,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": [{"name": SCRATCH, "emptyDir": {}}, *where.get("volumes", [])],
        "containers": [
            {
                "name": NODE,
                "image": work.image,
                "imagePullPolicy": "IfNotPresent",
                "command": COMMAND,
                "args": [work.job],
                "env": [*SCRATCH_VARIABLES, *environment(work)],
                "ports": [{"name": "peers", "containerPort": PORT}],
                "resources": resources(work),
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [{"name": SCRATCH, "mountPath": "/tmp"}, *mounts(work)],  # noqa: S108
            }
        ],
    }


SCRATCH_VARIABLES = [{"name": "HOME", "value": "/tmp"}, {"name": "TMPDIR", "value": "/tmp"}]  # noqa: S108
