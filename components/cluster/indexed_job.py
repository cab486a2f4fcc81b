"""A training as a plain Indexed Job with a headless Service, for clusters without Kubeflow Trainer."""

from collections.abc import Mapping
from typing import Any

from components.cluster import pods
from components.cluster.connection import Absent, Api, Object, Taken
from components.cluster.verdict import Verdict
from components.cluster.work import Work
from lockgate.errors import ClusterError

JOB_LABEL = "batch.kubernetes.io/job-name"


def render(work: Work) -> dict[str, Any]:
    """The Job. Kubernetes itself starts each lost worker again; its peers, which exit 75, likewise."""
    spec: dict[str, Any] = {
        "completionMode": "Indexed",
        "completions": work.workers,
        "parallelism": work.workers,
        "backoffLimitPerIndex": work.max_restarts,
        "maxFailedIndexes": 0,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {"rules": pods.FAILURE_RULES},
        "template": {"metadata": {"labels": pods.labels(work)}, "spec": pods.pod_spec(work)},
    }
    if work.pods.queue:
        spec["suspend"] = True
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": work.metadata(spec, work.child),
        "spec": spec,
    }


def render_service(work: Work, job: Mapping[str, Any]) -> dict[str, Any]:
    """The Service that gives the pods of a job their names; it goes when the job goes."""
    spec: dict[str, Any] = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": {JOB_LABEL: work.child},
    }
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": work.child, "uid": job["metadata"]["uid"]}
    metadata = {**work.metadata(spec), "ownerReferences": [owner]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def verdict(found: Mapping[str, Any]) -> Verdict:
    """How a Job stands."""
    held = {c["type"]: c for c in found.get("status", {}).get("conditions", []) if c["status"] == "True"}
    why = held.get("Failed") or held.get("Complete") or {}
    return Verdict(
        is_suspended=bool(found["spec"].get("suspend")),
        is_complete="Complete" in held,
        is_failed="Failed" in held,
        message=f"{why.get('reason', '')}: {why.get('message', '')}" if why else "",
    )


class IndexedJobs:
    """Indexed Jobs of a cluster."""

    kind = "Job"

    def __init__(self, api: Api) -> None:
        self._api = api

    def create(self, work: Work) -> None:
        """Makes the Job and its Service.

        Raises:
            Taken: a Job of that name is there; its Service then is, too.
            ClusterError: the API refuses.
        """
        try:
            made = self._api.create(self._path(work), render(work))
        except Taken:
            if (there := self.find(work)) is not None:
                self._serve(work, there)
            raise
        try:
            self._serve(work, made)
        except ClusterError:
            self.delete(work)
            raise

    def find(self, work: Work) -> Object | None:
        """The Job as it is now, if it is there."""
        try:
            return self._api.get(f"{self._path(work)}/{work.child}")
        except Absent:
            return None

    def delete(self, work: Work) -> None:
        """Deletes the Job, its pods and its Service."""
        self._api.delete(f"{self._path(work)}/{work.child}")

    def expected(self, work: Work) -> dict[str, Any]:
        """The Job that `create` would make."""
        return render(work)

    def verdict(self, found: Mapping[str, Any]) -> Verdict:
        """How it stands."""
        return verdict(found)

    def _serve(self, work: Work, job: Mapping[str, Any]) -> None:
        try:
            self._api.create(f"/api/v1/namespaces/{work.namespace}/services", render_service(work, job))
        except Taken:
            return

    @staticmethod
    def _path(work: Work) -> str:
        return f"/apis/batch/v1/namespaces/{work.namespace}/jobs"
