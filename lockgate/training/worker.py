"""The entry of a worker process: `python -m lockgate.training.worker job.json 0`.

TF_CONFIG names the workers. The exit code says how it ended: see `lockgate.training.exits`.
"""

import os
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType

from lockgate.errors import LockgateError
from lockgate.process import collect_rarely
from lockgate.storage import write_atomically
from lockgate.training.exits import Exit
from lockgate.training.watchdog import Watchdog

# The judging at the end of an epoch takes longer than a step.
EPOCH_END = 10.0
LOST = ("UnavailableError", "AbortedError", "DeadlineExceededError", "CancelledError")
LOST_WORDS = ("collective", "peer", "connection", "socket", "coordination service", "cluster")


def main(job_file: Path, worker: int) -> Exit:
    """Trains as one worker; returns how it ended."""
    folder = job_file.parent
    watchdog = Watchdog(_end, parent=os.getppid())
    watchdog.start()
    try:
        return _train(job_file, worker, watchdog)
    except MemoryError:
        return Exit.OUT_OF_MEMORY
    except Exception as error:
        if type(error).__name__ == "ResourceExhaustedError":
            return Exit.OUT_OF_MEMORY
        if is_lost_peer(error):
            print(f"A peer was lost: {error}", flush=True)
            return Exit.PEER_LOST
        write_atomically(folder / f"error-{worker}.txt", _told(error).encode())
        return Exit.USER_ERROR
    finally:
        watchdog.stop()


def _train(job_file: Path, worker: int, watchdog: Watchdog) -> Exit:
    wishes: list[int] = []

    def wish(number: int, _: FrameType | None) -> None:
        wishes.append(number)

    def listen() -> None:
        signal.signal(signal.SIGTERM, wish)
        signal.signal(signal.SIGINT, wish)

    listen()
    collect_rarely()
    watchdog.expect("import of TensorFlow", 600)

    import tensorflow as tf

    from lockgate.training.job import Job, run_job, strategy_of
    from lockgate.training.loop import Stopped, Watch
    from lockgate.training.state import LoopState

    job = Job.load(job_file)
    settings = job.settings
    tf.config.threading.set_intra_op_parallelism_threads(max(1, (os.cpu_count() or 1) // settings.workers))
    watchdog.expect("answer from the other workers", settings.peer_timeout)
    strategy = strategy_of(settings.workers)
    # TensorFlow's coordination service takes SIGTERM for itself (its preemption notice) as it starts.
    listen()

    def progress(state: LoopState) -> None:
        watchdog.expect("step", settings.step_timeout)
        if worker == 0:
            write_atomically(job_file.parent / "progress.json", state.model_dump_json().encode())

    def judging() -> None:
        watchdog.expect("end of the epoch", EPOCH_END * settings.step_timeout)

    try:
        run_job(job, strategy, worker=worker, watch=Watch(lambda: bool(wishes), progress, judging))
    except Stopped as stopped:
        print(f"Asked to stop: saved at step {stopped.step}.", flush=True)
        return Exit.SAVED
    return Exit.DONE


def is_lost_peer(error: Exception) -> bool:
    """Whether TensorFlow's error means that another worker is gone, not that this one is wrong."""
    name, text = type(error).__name__, str(error).lower()
    if not type(error).__module__.startswith("tensorflow"):
        return False
    return name in LOST or (name in ("InternalError", "UnknownError") and any(w in text for w in LOST_WORDS))


def _told(error: Exception) -> str:
    if isinstance(error, LockgateError):
        return "\n".join((error.given, "\x1f", error.allowed, "\x1f", error.next_step))
    return "".join(traceback.format_exception(error))


def _end(reason: str) -> None:
    print(reason, flush=True)
    os._exit(Exit.PEER_LOST)


if __name__ == "__main__":
    # Not sys.exit: TensorFlow's threads for the other workers may wait for ones that have ended.
    code = main(Path(sys.argv[1]), int(sys.argv[2]))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
