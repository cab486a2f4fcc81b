"""Runs one training to its end, in this process or in several, and takes up what an earlier run began."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lockgate.errors import StorageError
from lockgate.ports import Workers
from lockgate.storage import Store, store_at
from lockgate.training.archive import BEST, Archive, is_remote
from lockgate.training.checkpoint import Weights, load_weights
from lockgate.training.distribute import LocalProcesses, stop_wishes
from lockgate.training.job import DONE, Job, run_job, strategy_of
from lockgate.training.loop import Stopped, Watch
from lockgate.training.state import LoopState


@dataclass(frozen=True)
class Trained:
    """The final state, the best epoch's weights, and how often lost workers were started again."""

    state: LoopState
    weights: Weights
    restarts: int


def execute(job: Job, progress: Callable[[LoopState], None], workers: Workers | None = None) -> Trained:
    """Trains from wherever the job's folder stands; one that is done is not trained again.

    Several workers, or any on GPUs, are run by `workers`; without it by processes of this machine. One worker
    without a GPU is this process: a pod of its own would only wait for another's start.

    Raises:
        KeyboardInterrupt: it was asked to stop (SIGINT, SIGTERM); the step is saved.
        LockgateError: as `run_job` and `Workers.run` say.
    """
    store = store_at(job.folder)
    restarts = 0
    if store.read(DONE) is None:
        if workers is not None and (job.settings.workers > 1 or job.project.cluster.training.gpus):
            restarts = workers.run(job, progress)
        else:
            restarts = _processes(job, progress) if job.settings.workers > 1 else _here(job, progress)
    if (done := store.read(DONE)) is None:
        raise StorageError(f"{store.address}/{DONE} is missing, though all are done.", "", "Run again.")
    state = LoopState.model_validate_json(done)
    progress(state)
    return Trained(state, _best(store), restarts)


def _best(store: Store) -> Weights:
    if not is_remote(store.address):
        return load_weights(Path(store.address) / BEST)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / BEST
        if not Archive(store).fetch_best(path):
            raise StorageError(f"{store.address} holds no weights.", "", "Run the training again.")
        return load_weights(path)


def _here(job: Job, progress: Callable[[LoopState], None]) -> int:
    with stop_wishes() as wants_stop:
        try:
            run_job(job, strategy_of(1), watch=Watch(wants_stop, progress))
        except Stopped:
            raise KeyboardInterrupt from None
    return 0


def _processes(job: Job, progress: Callable[[LoopState], None]) -> int:
    settings = job.settings
    with tempfile.TemporaryDirectory(prefix="workers-") as scratch:
        processes = LocalProcesses(
            job,
            Path(scratch if is_remote(job.folder) else job.folder),
            workers=settings.workers,
            max_restarts=settings.max_restarts,
            grace=settings.step_timeout,
            progress=progress,
        )
        processes.run()
    return processes.restarts
