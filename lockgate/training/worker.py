"""The entry of a worker process: `python -m lockgate.training.worker ADDRESS/job.json [INDEX]`.

The address is a folder or gs://…; what the worker has to tell (progress, errors) goes there too. On a cluster
the index is JOB_COMPLETION_INDEX, and the other workers are named by TF_CONFIG, or by that which
`lockgate.training.peers` makes it of. The exit code says how it ended: see `lockgate.training.exits`.
"""

import os
import signal
import sys
import traceback

if __name__ == "__main__":
    # Before the imports, which take a second: until somebody asks for it, a container's first process ignores
    # SIGTERM, and its pod would last for all of its grace. `StopSignals` takes the signal that waits.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))

from lockgate.errors import StorageError, TrainingError
from lockgate.process import collect_rarely
from lockgate.storage import Store, store_at
from lockgate.training.archive import Superseded, is_remote
from lockgate.training.exits import Exit
from lockgate.training.peers import INDEX, PEERS, addresses_of, pod_config, wait_for_names
from lockgate.training.reports import Reports, error_name, text_of
from lockgate.training.starting import StopSignals
from lockgate.training.watchdog import Watchdog

# The judging at the end of an epoch takes longer than a step.
EPOCH_END = 10.0
LOST = ("UnavailableError", "AbortedError", "DeadlineExceededError", "CancelledError")
LOST_WORDS = ("collective", "peer", "connection", "socket", "coordination service", "cluster")


def main(job_address: str, worker: int) -> Exit:
    """Trains as one worker; returns how it ended."""
    signals = StopSignals()
    signals.start()
    watchdog = Watchdog(_end, parent=os.getppid())
    watchdog.start()
    folder, _, name = job_address.rpartition("/")
    store = store_at(folder)
    try:
        return _train(store, name, worker, watchdog, signals)
    except Exception as error:
        return failed(store, worker, error)
    finally:
        watchdog.stop()


def _train(store: Store, name: str, worker: int, watchdog: Watchdog, signals: StopSignals) -> Exit:
    collect_rarely()
    watchdog.expect("import of TensorFlow", 600)
    if config := pod_config(os.environ):
        os.environ["TF_CONFIG"] = config

    import tensorflow as tf

    from lockgate.training.job import DONE, Job, run_job, strategy_of
    from lockgate.training.loop import Disagreement, Stopped, Watch
    from lockgate.training.state import LoopState

    job = Job.model_validate_json(_read(store, name))
    settings = job.settings
    if store_at(job.folder).read(DONE) is not None:
        # Started again after all was done: the others may have left for good.
        return Exit.DONE
    if PEERS in os.environ:
        watchdog.expect("end to the wait for the others' names", 2 * settings.peer_timeout + 60)
        wait_for_names(addresses_of(config), settings.peer_timeout)
    else:
        threads = max(1, (os.cpu_count() or 1) // settings.workers)
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    watchdog.expect("answer from the other workers", settings.peer_timeout)
    strategy = strategy_of(settings.workers)
    signals.begin()
    reports = Reports(store)

    def progress(state: LoopState) -> None:
        watchdog.expect("step", settings.step_timeout)
        if worker == 0:
            reports.progress(state)

    def judging() -> None:
        watchdog.expect("end of the epoch", EPOCH_END * settings.step_timeout)

    try:
        run_job(job, strategy, worker=worker, watch=Watch(signals.wants_stop, progress, judging))
    except Stopped as stopped:
        print(f"Asked to stop: saved at step {stopped.step}.", flush=True)
        return Exit.SAVED
    except (Superseded, Disagreement) as error:
        print(f"A peer was lost: {error}", flush=True)
        return Exit.PEER_LOST
    return Exit.DONE


def failed(store: Store, worker: int, error: Exception) -> Exit:
    """Tells of an error where it is looked for: one of the user's in the store, all others in the log."""
    if is_lost_peer(error):
        print(f"A peer was lost: {error}", flush=True)
        return Exit.PEER_LOST
    if isinstance(error, StorageError) and is_remote(store.address):
        # A bucket may be there again when the worker is; a full disk stays full.
        print(f"The storage failed: {error}", flush=True)
        return Exit.PEER_LOST
    is_memory = isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"
    told = text_of(out_of_memory(worker, error) if is_memory else error)
    try:
        store.write(error_name(worker), told.encode())
    except Exception as refused:
        print(f"{told}\nThe step is not told of it: {refused}", flush=True)
    else:
        print(f"Worker {worker} failed by {type(error).__name__}; the step tells of it.", flush=True)
    return Exit.OUT_OF_MEMORY if is_memory else Exit.USER_ERROR


def is_lost_peer(error: Exception) -> bool:
    """Whether TensorFlow's error means that another worker is gone, not that this one is wrong."""
    name, text = type(error).__name__, str(error).lower()
    if not type(error).__module__.startswith("tensorflow"):
        return False
    return name in LOST or (name in ("InternalError", "UnknownError") and any(w in text for w in LOST_WORDS))


def out_of_memory(worker: int, error: Exception) -> TrainingError:
    """What is said of a worker that finds no memory, before the kernel had to kill it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # TensorFlow's first line names the kind of the error only; the allocation is told further down.
    said = next((line for line in lines if "memory" in line.lower() or "OOM" in line), "".join(lines[:1]))
    return TrainingError(
        f"Worker {worker} used up its memory{': ' + said if said else ''}.",
        "A worker holds the network, its optimizer, a batch, and the tune rows if it is the first.",
        "Raise cluster.training.memory, and run again: it goes on where it was. Or lower train.batch_size.",
    )


def _read(store: Store, name: str) -> bytes:
    if (found := store.read(name)) is None:
        raise TrainingError(f"{store.address}/{name} does not exist.", "", "Start the training again.")
    return found


def _end(reason: str) -> None:
    print(reason, flush=True)
    os._exit(Exit.PEER_LOST)


if __name__ == "__main__":
    code = 1
    try:
        code = main(sys.argv[1], int(sys.argv[2] if len(sys.argv) > 2 else os.environ[INDEX]))
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            # Not sys.exit: TensorFlow's threads for the other workers may wait for ones that have ended.
            os._exit(code)
