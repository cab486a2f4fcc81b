"""Runs a training's workers as pods: makes the job or takes up the one that runs, follows it, cleans up."""

import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from components.cluster.connection import Api, Taken, Unreachable
from components.cluster.following import Following, is_there
from components.cluster.indexed_job import IndexedJobs
from components.cluster.own_pod import own_pod
from components.cluster.trainjob import TrainJobs
from components.cluster.verdict import Jobs
from components.cluster.work import SPEC_ANNOTATION, Work, job_name
from components.image import TRAINER_IMAGE
from lockgate.errors import ClusterError, ConfigError
from lockgate.storage import address_of, store_at
from lockgate.training.archive import is_remote
from lockgate.training.distribute import stop_wishes
from lockgate.training.reports import PROGRESS
from lockgate.training.state import LoopState

if TYPE_CHECKING:
    from pathlib import Path

    from lockgate.training.job import Job

IMAGE_VARIABLE = "LOCKGATE_IMAGE"
PASSED = ("STORAGE_EMULATOR_HOST", "GOOGLE_CLOUD_PROJECT", "TF_CPP_MIN_LOG_LEVEL")
KUEUE = "/apis/kueue.x-k8s.io"
GONE_POLL = 0.5


class PodWorkers:
    """The port `Workers` on a cluster.

    Args:
        connect: gives the cluster's API; called when there is something to train.
        namespace: of the jobs.
        environment: of this process.
        tell: prints a line into the step's log.
    """

    def __init__(
        self,
        connect: Callable[[], Api],
        namespace: str,
        environment: Mapping[str, str] = os.environ,
        tell: Callable[[str], None] = lambda line: print(line, flush=True),
    ) -> None:
        self._connect, self._namespace = connect, namespace
        self._environment, self._tell = environment, tell

    def run(self, job: "Job", progress: Callable[[LoopState], None]) -> int:
        """Returns, when every worker is done, how often lost workers were started again.

        The job's name follows from the training's folder, so that a step that is started again finds the job
        of its last life. However it ends, the job is deleted: result and checkpoints are in the bucket.

        Raises:
            KeyboardInterrupt: it was asked to stop, and the workers have saved.
            TrainingError: the user's own error with its traceback, no memory, workers that are lost for
                good or never started.
            ConfigError: the training's folder is not in a bucket, or its queue is not on this cluster.
            ClusterError: Kubernetes refuses, or does not answer for long.
        """
        api = self._connect()
        job = self._shared(job)
        work = self._work(api, job)
        jobs: Jobs = TrainJobs(api) if work.pods.launcher == "trainjob" else IndexedJobs(api)
        _check_queue(api, work)
        with stop_wishes() as wants_stop:
            self._launch(api, jobs, work, job, wants_stop)
            following = Following(api, jobs, work, job.settings, store_at(job.folder), self._tell)
            try:
                return following.follow(progress, wants_stop)
            finally:
                _remove(jobs, work, self._tell)

    def _shared(self, job: "Job") -> "Job":
        """The job with addresses that pods reach; features on this pod's disk are sent to the bucket."""
        if not is_remote(job.folder):
            raise ConfigError(
                f"The workspace is {job.folder}, which is on this pod's disk.",
                "Workers in pods of their own share checkpoints through a bucket.",
                "Set cluster.workspace to gs://bucket/path.",
            )
        from pathlib import Path

        # What KFP keeps in another kind of store is here as files, too.
        is_in_bucket = is_remote(job.features) or job.features.startswith("/gcs/")
        features = f"{job.folder}/features"
        if is_in_bucket:
            features = job.features if is_remote(job.features) else address_of(Path(job.features))
        else:
            _send(Path(job.features), features)
        return job.model_copy(update={"features": features})

    def _work(self, api: Api, job: "Job") -> Work:
        pods = job.project.cluster.training
        own, digest = own_pod(api, self._environment), job.digest()
        image = pods.image or self._environment.get(IMAGE_VARIABLE) or (own.image if own else TRAINER_IMAGE)
        return Work(
            name=job_name(job.project.name, job.folder),
            namespace=self._namespace,
            model=job.project.name,
            job=f"{job.folder}/{job_file(digest)}",
            job_digest=digest,
            workers=job.settings.workers,
            image=image,
            pods=pods,
            max_restarts=job.settings.max_restarts,
            grace=job.settings.step_timeout,
            environment={n: self._environment[n] for n in PASSED if n in self._environment},
            # An owner in another namespace would have the job collected as an orphan.
            owner=own.owner if own is not None and own.namespace == self._namespace else None,
        )

    def _launch(self, api: Api, jobs: Jobs, work: Work, job: "Job", wants_stop: Callable[[], bool]) -> None:
        """Makes the job, or leaves the one that this step made in an earlier life."""
        found = jobs.find(work)
        if found is not None and _is_over(jobs, found):
            _remove(jobs, work, self._tell)
            found = None
        if found is None:
            _await_gone(api, jobs, work, wants_stop)
            store = store_at(job.folder)
            for name in (*store.names("error-"), PROGRESS):
                store.delete(name)
            store.write(job_file(work.job_digest), job.model_dump_json().encode())
            try:
                jobs.create(work)
            except Taken:
                found = jobs.find(work)
            else:
                self._tell(f"{jobs.kind} {work.namespace}/{work.name}: {work.workers} workers")
                return
        expected = jobs.expected(work)["metadata"]["annotations"][SPEC_ANNOTATION]
        if found is None or found["metadata"].get("annotations", {}).get(SPEC_ANNOTATION) != expected:
            raise ClusterError(
                f"{jobs.kind} {work.namespace}/{work.name} runs already, with other settings.",
                "One job at a time trains in a folder of the workspace.",
                f"Wait for it to end, or delete it: kubectl delete {jobs.kind.lower()} -n {work.namespace} "
                f"{found['metadata']['name'] if found else work.name}",
            )
        self._tell(f"{jobs.kind} {work.namespace}/{work.name} runs already: this step follows it")


def job_file(digest: str) -> str:
    """The name of a job's file: one's own, as workers of another job that still runs there read theirs."""
    return f"job-{digest[:8]}.json"


def _is_over(jobs: Jobs, found: Mapping[str, object]) -> bool:
    """Whether a job is going, or has ended without anybody looking on."""
    metadata = found["metadata"]
    is_going = isinstance(metadata, Mapping) and "deletionTimestamp" in metadata
    verdict = jobs.verdict(found)
    return is_going or verdict.is_complete or verdict.is_failed


def _remove(jobs: Jobs, work: Work, tell: Callable[[str], None]) -> None:
    """Deletes a job. That the API does not answer changes nothing of the result, so it is only told."""
    try:
        jobs.delete(work)
    except Unreachable as error:
        tell(f"{jobs.kind} {work.namespace}/{work.name} could not be deleted: {error.given}")


def _await_gone(api: Api, jobs: Jobs, work: Work, wants_stop: Callable[[], bool]) -> None:
    """The pods of an earlier job may still save; they have the names that the new ones are to have."""
    deadline = time.monotonic() + 2 * work.grace_seconds
    while is_there(api, jobs, work):
        if wants_stop():
            raise KeyboardInterrupt
        if time.monotonic() > deadline:
            raise ClusterError(
                f"{jobs.kind} {work.namespace}/{work.name} is being deleted, and does not end.",
                f"Its workers have {work.grace_seconds} seconds to save.",
                f"Look at it: kubectl describe {jobs.kind.lower()} -n {work.namespace} {work.name}",
            )
        time.sleep(GONE_POLL)


def _check_queue(api: Api, work: Work) -> None:
    """A job that waits for a Kueue that is not there would wait for ever."""
    if work.pods.queue is None:
        return
    groups = {g["name"] for g in api.get("/apis")["groups"]}
    if KUEUE.rpartition("/")[2] not in groups:
        raise ConfigError(
            f"cluster.training.queue is {work.pods.queue}, but this cluster has no Kueue.",
            "The job would wait in that queue for ever.",
            "Install Kueue, or take cluster.training.queue out.",
        )


def _send(folder: "Path", address: str) -> None:
    names = [p.relative_to(folder).as_posix() for p in sorted(folder.rglob("*")) if p.is_file()]
    store_at(address).send_all(folder, names)
