"""Follows a job on the cluster to its end: progress, log, deadlines, and what went wrong."""

import time
from collections.abc import Callable, Sequence

from components.cluster.connection import Absent, Api, Unreachable
from components.cluster.deadline import Deadline
from components.cluster.logs import ChiefLog
from components.cluster.observing import Sightings, Worker, absent, decide, newest, worker_of
from components.cluster.verdict import Jobs, Verdict
from components.cluster.work import Work
from lockgate.errors import ClusterError, StorageError, TrainingError
from lockgate.project import Training
from lockgate.storage import Store
from lockgate.training.exits import Action
from lockgate.training.reports import PROGRESS, error_of
from lockgate.training.state import LoopState

POLL = 1.0
PATIENCE = 180.0
EVENTS = 3


def workers_of(api: Api, work: Work) -> list[Worker]:
    """All pods of a job, those that end among them."""
    selector = f"batch.kubernetes.io/job-name={work.child}"
    found = api.get(f"/api/v1/namespaces/{work.namespace}/pods", labelSelector=selector)
    return [worker_of(pod) for pod in found["items"]]


def is_there(api: Api, jobs: Jobs, work: Work) -> bool:
    """Whether anything is left of a job: itself, the batch Job below it, or a pod that still saves."""
    if jobs.find(work) is not None or workers_of(api, work):
        return True
    try:
        api.get(f"/apis/batch/v1/namespaces/{work.namespace}/jobs/{work.child}")
    except Absent:
        return False
    return True


class Following:
    """One job, looked at once a second.

    Args:
        api: of the cluster.
        jobs: its kind.
        work: what was launched.
        settings: with the deadline for workers to appear, and how many restarts are allowed.
        store: the training's folder, where workers tell of progress and errors.
        tell: prints a line into the step's log.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        api: Api,
        jobs: Jobs,
        work: Work,
        settings: Training,
        store: Store,
        tell: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api, self._jobs, self._work, self._settings = api, jobs, work, settings
        self._store, self._clock = store, clock
        self._log = ChiefLog(api, work.namespace, tell)
        self._tell = tell
        self._sightings = Sightings()
        self._told: bytes | None = None
        self._deadline = Deadline(settings.peer_timeout, work.grace_seconds, clock())

    def follow(self, progress: Callable[[LoopState], None], wants_stop: Callable[[], bool]) -> int:
        """Returns when the job is complete; otherwise as `PodWorkers.run`."""
        answered_at = self._clock()
        while True:
            if wants_stop():
                self._stop()
                raise KeyboardInterrupt
            try:
                action, workers, verdict = self._look(progress)
                answered_at = self._clock()
            except (Unreachable, StorageError):
                # The job goes on without us; only a cluster or a bucket that is gone for long is given up.
                if self._clock() - answered_at > PATIENCE:
                    raise
                time.sleep(POLL)
                continue
            match action:
                case Action.FINISH:
                    return self._sightings.restarts
                case Action.FAIL:
                    raise self._user_error(workers)
                case Action.OUT_OF_MEMORY:
                    raise self._out_of_memory(workers)
                case Action.RESTART:
                    raise self._lost(verdict)
            self._check_started(workers, verdict)
            time.sleep(POLL)

    def _look(self, progress: Callable[[LoopState], None]) -> tuple[Action, Sequence[Worker], Verdict]:
        found = self._jobs.find(self._work)
        if found is None or "deletionTimestamp" in found["metadata"]:
            raise TrainingError(
                f"{self._jobs.kind} {self._work.namespace}/{self._work.name} was deleted while it ran.",
                "Its last checkpoint is kept.",
                "Run the step again; it goes on there.",
            )
        verdict = self._jobs.verdict(found)
        workers = workers_of(self._api, self._work)
        self._sightings.see(workers)
        if chief := newest(workers).get(0):
            self._log.look(chief)
        self._relay(progress)
        has_failed = verdict.is_failed or any(w.code not in (None, 0) for w in workers)
        action = decide(
            verdict,
            workers,
            has_user_error=has_failed and bool(self._store.names("error-")),
            restarts=self._sightings.attempt,
            max_restarts=self._settings.max_restarts,
        )
        return action, workers, verdict

    def _relay(self, progress: Callable[[LoopState], None]) -> None:
        told = self._store.read(PROGRESS)
        if told is not None and told != self._told:
            self._told = told
            progress(LoopState.model_validate_json(told))

    def _check_started(self, workers: Sequence[Worker], verdict: Verdict) -> None:
        """Raises TrainingError when a worker has not started for longer than train.peer_timeout."""
        missing = absent(workers, self._work.workers)
        if not self._deadline.has_passed(missing, is_suspended=verdict.is_suspended, now=self._clock()):
            return
        reasons = "; ".join(
            f"worker {index}: {why or 'there is no pod'}" for index, why in sorted(missing.items())
        )
        events = " ".join(self._events()) if not all(missing.values()) else ""
        raise TrainingError(
            f"Not all {self._work.workers} workers started within {self._settings.peer_timeout:g} seconds "
            f"({reasons}). {events}".rstrip(),
            "The job was deleted; what is saved is kept.",
            "Lower cluster.training's requests, mend its image, node_selector or tolerations, "
            "or raise train.peer_timeout.",
        )

    def _events(self) -> list[str]:
        """What the cluster said of the job, where its pods say nothing."""
        said = []
        for name in (self._work.name, self._work.child):
            path = f"/api/v1/namespaces/{self._work.namespace}/events"
            try:
                found = self._api.get(path, fieldSelector=f"involvedObject.name={name},type=Warning")
            except ClusterError as error:
                said.append(f"(Its events cannot be read: {error.given})")
                continue
            said += [f"{e.get('reason', '')}: {e.get('message', '')}" for e in found["items"][-EVENTS:]]
        return said

    def _stop(self) -> None:
        """Asks the workers to stop, and waits until they have saved."""
        self._tell("asked to stop: the workers save")
        self._jobs.delete(self._work)
        deadline = self._clock() + self._work.grace_seconds
        while is_there(self._api, self._jobs, self._work) and self._clock() < deadline:
            time.sleep(POLL)

    def _user_error(self, workers: Sequence[Worker]) -> TrainingError:
        texts = {
            int(name.removeprefix("error-").removesuffix(".txt")): (self._store.read(name) or b"").decode()
            for name in self._store.names("error-")
        }
        if texts:
            return error_of(texts)
        names = ", ".join(w.name for w in workers if w.code is not None)
        return TrainingError(
            f"A worker ended with exit code 64 and left no error behind ({names}).",
            "",
            "Read the step's log, which has what the first worker said.",
        )

    def _out_of_memory(self, workers: Sequence[Worker]) -> TrainingError:
        who = ", ".join(str(w.index) for w in workers if w.reason == "OOMKilled")
        return TrainingError(
            f"Worker {who} was killed because it used more than {self._work.pods.memory} of memory.",
            "cluster.training.memory is a worker's request and its limit.",
            "Raise it, and run again: it goes on where it was. Or lower train.batch_size.",
        )

    def _lost(self, verdict: Verdict) -> TrainingError:
        return TrainingError(
            f"A worker was lost {self._sightings.restarts} times. {verdict.message}".rstrip(),
            f"train.max_restarts allows {self._settings.max_restarts} restarts.",
            "Read the step's log, which has what the first worker said, then run again.",
        )
