"""Runs one training to its end, in this process or in several, and takes up what an earlier run began."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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


def execute(job: Job, progress: Callable[[LoopState], None]) -> Trained:
    """Trains from wherever the job's folder stands; one that is done is not trained again.

    Raises:
        KeyboardInterrupt: it was asked to stop (SIGINT, SIGTERM); the step is saved.
        LockgateError: as `run_job` and `LocalProcesses.run` say.
    """
    folder = Path(job.folder)
    restarts = 0
    if not (folder / DONE).exists():
        restarts = _processes(job, progress) if job.settings.workers > 1 else _here(job, progress)
    state = LoopState.load(folder / DONE)
    progress(state)
    return Trained(state, load_weights(folder / "best.npz"), restarts)


def _here(job: Job, progress: Callable[[LoopState], None]) -> int:
    with stop_wishes() as wants_stop:
        try:
            run_job(job, strategy_of(1), watch=Watch(wants_stop, progress))
        except Stopped:
            raise KeyboardInterrupt from None
    return 0


def _processes(job: Job, progress: Callable[[LoopState], None]) -> int:
    settings = job.settings
    processes = LocalProcesses(
        job,
        Path(job.folder),
        workers=settings.workers,
        max_restarts=settings.max_restarts,
        grace=settings.step_timeout,
        progress=progress,
    )
    processes.run()
    return processes.restarts
