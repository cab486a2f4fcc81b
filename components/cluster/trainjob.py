"""A training as a TrainJob of Kubeflow Trainer, against the runtime `lockgate-tensorflow`."""

from collections.abc import Mapping
from typing import Any

from components.cluster import pods
from components.cluster.connection import Absent, Api, Object
from components.cluster.verdict import Verdict
from components.cluster.work import NODE, Work
from lockgate.errors import ClusterError

GROUP = "trainer.kubeflow.org/v1alpha1"
RUNTIME = "lockgate-tensorflow"
MANAGER = "lockgate.dev/train-step"


def render(work: Work) -> dict[str, Any]:
    """The TrainJob: what the runtime leaves open, and nothing else."""
    node: dict[str, Any] = pods.placement(work)
    if found := pods.mounts(work):
        node["containers"] = [{"name": NODE, "volumeMounts": found}]
    pod = {"metadata": {"labels": pods.labels(work)}, "spec": node}
    patch = {"replicatedJobs": [{"name": NODE, "template": {"spec": {"template": pod}}}]}
    spec: dict[str, Any] = {
        "runtimeRef": {
            "apiGroup": GROUP.partition("/")[0],
            "kind": "ClusterTrainingRuntime",
            "name": RUNTIME,
        },
        "trainer": {
            "numNodes": work.workers,
            "image": work.image,
            "command": pods.COMMAND,
            "args": [work.job],
            "env": pods.environment(work),
            "resourcesPerNode": pods.resources(work),
        },
        "runtimePatches": [{"manager": MANAGER, "trainingRuntimeSpec": {"template": {"spec": patch}}}],
    }
    if work.pods.queue:
        # Kueue lets it go once there is room; its webhook would set the same.
        spec["suspend"] = True
    return {"apiVersion": GROUP, "kind": "TrainJob", "metadata": work.metadata(spec), "spec": spec}


def verdict(found: Mapping[str, Any]) -> Verdict:
    """How a TrainJob stands."""
    held = {c["type"]: c for c in found.get("status", {}).get("conditions", []) if c["status"] == "True"}
    ended = next((t for t in ("Complete", "Failed") if t in held), None)
    why = held[ended] if ended is not None else {}
    return Verdict(
        is_suspended=bool(found["spec"].get("suspend")),
        is_complete=ended == "Complete",
        is_failed=ended == "Failed",
        message=f"{why.get('reason', '')}: {why.get('message', '')}" if why else "",
    )


class TrainJobs:
    """TrainJobs of a cluster."""

    kind = "TrainJob"

    def __init__(self, api: Api) -> None:
        self._api = api

    def create(self, work: Work) -> None:
        """Makes the job.

        Raises:
            Taken: one of that name is there.
            ClusterError: Trainer or its runtime is not installed, or the API refuses.
        """
        try:
            self._api.create(self._path(work), render(work))
        except Absent as error:
            raise ClusterError(
                error.given,
                "cluster.training.launcher: trainjob needs Kubeflow Trainer v2 and the namespace.",
                "Install Kubeflow Trainer, or set cluster.training.launcher: job.",
            ) from None

    def find(self, work: Work) -> Object | None:
        """The job as it is now, if it is there."""
        try:
            return self._api.get(f"{self._path(work)}/{work.name}")
        except Absent:
            return None

    def delete(self, work: Work) -> None:
        """Deletes the job and its pods, which have their grace to save."""
        self._api.delete(f"{self._path(work)}/{work.name}")

    def expected(self, work: Work) -> dict[str, Any]:
        """What `create` would make."""
        return render(work)

    def verdict(self, found: Mapping[str, Any]) -> Verdict:
        """How it stands."""
        return verdict(found)

    @staticmethod
    def _path(work: Work) -> str:
        return f"/apis/{GROUP}/namespaces/{work.namespace}/trainjobs"
