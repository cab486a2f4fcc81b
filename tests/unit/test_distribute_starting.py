"""A worker before its first step, and what watches it: names, signals, deadlines, memory."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lockgate.disk import FolderStore
from lockgate.errors import StorageError, TrainingError
from lockgate.training.exits import Exit
from lockgate.training.job import DONE
from lockgate.training.peers import PEERS, WORKERS, wait_for_names
from lockgate.training.reports import error_of, text_of
from lockgate.training.state import LoopState
from lockgate.training.watchdog import Watchdog
from lockgate.training.worker import failed
from tests.unit.test_distribute import ROWS, job_of
from tests.unit.training_data import write_features


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


def test_it_waits_until_every_name_has_an_address() -> None:
    clock, asked = Clock(), []

    def is_known(host: str) -> bool:
        asked.append(host)
        return host == "a" or clock.now >= 3

    wait_for_names(("a:1", "b:1"), 10, is_known=is_known, clock=clock, pause=clock.pause)
    assert 3 <= clock.now < 4
    assert asked.count("a") == 1


def test_a_worker_that_does_not_appear_is_named_after_the_deadline() -> None:
    clock = Clock()
    with pytest.raises(TrainingError) as raised:
        wait_for_names(
            ("a:1", "b.c:1", "d:1"), 10, is_known=lambda h: h == "a", clock=clock, pause=clock.pause
        )
    assert 10 <= clock.now < 11
    assert "Within 10 seconds worker 1 (b.c), worker 2 (d) did not appear" in raised.value.given
    assert "train.peer_timeout" in raised.value.next_step


def watched(parent: int | None = None) -> tuple[Watchdog, Clock, list[str], threading.Event]:
    clock, said, bitten = Clock(), [], threading.Event()

    def bite(reason: str) -> None:
        said.append(reason)
        bitten.set()

    return Watchdog(bite, parent=parent or os.getppid(), poll=0.01, clock=clock), clock, said, bitten


def test_the_watchdog_bites_once_what_was_promised_does_not_happen() -> None:
    watchdog, clock, said, bitten = watched()
    watchdog.start()
    watchdog.expect("step", 5)
    clock.now = 4
    assert not bitten.wait(0.1)
    watchdog.expect("step", 5)
    clock.now = 8
    assert not bitten.wait(0.1)
    clock.now = 9.5
    assert bitten.wait(5)
    assert said == ["There was no step within 5 seconds."]


def test_the_watchdog_bites_when_the_parent_is_gone() -> None:
    watchdog, _, said, bitten = watched(parent=-1)
    watchdog.start()
    assert bitten.wait(5)
    assert said == ["The process that started this worker is gone."]


def test_a_watchdog_that_was_stopped_does_not_bite() -> None:
    watchdog, clock, _, bitten = watched()
    watchdog.start()
    watchdog.expect("step", 5)
    watchdog.stop()
    clock.now = 100
    assert not bitten.wait(0.2)


SIGNALLED = """
import sys, threading
from lockgate.training.starting import StopSignals
signals = StopSignals()
signals.start()
if sys.argv[1] == "begun":
    signals.begin()
print("ready", flush=True)
if sys.argv[1] == "starting":
    threading.Event().wait()  # as in a call that runs no Python
while not signals.wants_stop():
    threading.Event().wait(0.05)
print("asked", flush=True)
"""


@pytest.mark.parametrize(
    ("phase", "code", "said"),
    [("starting", Exit.SAVED, "Asked to stop before the first step.\n"), ("begun", 0, "asked\n")],
)
def test_sigterm_ends_a_worker_that_starts_and_is_a_wish_to_one_that_trains(
    phase: str, code: int, said: str
) -> None:
    command = [sys.executable, "-c", SIGNALLED, phase]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == said
        assert process.wait(10) == code


def run_worker(folder: Path, **environment: str) -> tuple[int, str]:
    """Runs worker 0 of the job in a folder; its exit code, and the error that it wrote."""
    command = [sys.executable, "-m", "lockgate.training.worker", f"{folder}/job.json", "0"]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, check=False)
    error = folder / "error-0.txt"
    return done.returncode, error.read_text() if error.exists() else ""


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("starting")
    write_features(found / "features", ROWS)
    return found


NOWHERE = {WORKERS: "2", PEERS: "worker-{}.nowhere.invalid:2222", "JOB_COMPLETION_INDEX": "0"}


def test_a_worker_whose_peers_have_no_names_fails_and_says_which(features: Path) -> None:
    job = job_of(features, "nowhere", workers=2, peer_timeout=1.0)
    job.save(Path(job.folder) / "job.json")
    code, error = run_worker(Path(job.folder), **NOWHERE)
    assert code == Exit.USER_ERROR
    told = error_of({0: error})
    assert "Within 1 seconds worker 0 (worker-0.nowhere.invalid), worker 1" in told.given
    assert "kubectl describe pod" in told.next_step


def test_a_worker_that_is_started_again_after_all_was_done_waits_for_nobody(features: Path) -> None:
    job = job_of(features, "over", workers=2, peer_timeout=600.0)
    job.save(Path(job.folder) / "job.json")
    LoopState(is_done=True).save(Path(job.folder) / DONE)
    assert run_worker(Path(job.folder), **NOWHERE) == (Exit.DONE, "")


GREEDY = """
import keras
import tensorflow as tf

def fill(numbers):
    raise MemoryError("12 GiB for one layer")

class Greedy(keras.layers.Layer):
    def call(self, numbers):
        same = tf.numpy_function(fill, [numbers], tf.float32)
        same.set_shape(numbers.shape)
        return same

def network(inputs, project):
    return keras.layers.Dense(1)(Greedy()(inputs["numbers"]))
"""


def test_a_worker_without_memory_says_so_and_exits_137(features: Path) -> None:
    job = job_of(features, "memory", code=GREEDY, model={"function": "own.py:network"})
    job.save(Path(job.folder) / "job.json")
    ended, error = run_worker(Path(job.folder))
    assert ended == Exit.OUT_OF_MEMORY
    told = error_of({0: error})
    assert told.given.startswith("Worker 0 used up its memory: ")
    assert "12 GiB for one layer" in told.given
    assert "cluster.training.memory" in told.next_step


def test_an_error_keeps_its_three_sentences_and_is_told_once() -> None:
    assert error_of({1: text_of(TrainingError("a", "", "c"))}).args == ("a", "", "c")
    texts = {1: text_of(ValueError("same")), 0: text_of(ValueError("same"))}
    assert error_of(texts).given == "Training failed in worker 0, 1:\nValueError: same"


class Away(FolderStore):
    """A bucket that does not answer."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.address = "gs://bucket/training"

    def write(self, name: str, data: bytes, *, is_new: bool = False) -> bool:
        raise StorageError("The bucket does not answer.")


def test_a_bucket_that_is_away_is_not_the_users_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failed(Away(tmp_path), 0, StorageError("The bucket does not answer.")) == Exit.PEER_LOST
    assert "The bucket does not answer." in capsys.readouterr().out


def test_a_full_disk_is_told_as_it_is_and_not_tried_again(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    assert failed(store, 0, StorageError("The disk is full.")) == Exit.USER_ERROR
    assert "The disk is full." in (store.read("error-0.txt") or b"").decode()


def test_an_error_that_cannot_be_written_is_printed_and_keeps_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failed(Away(tmp_path), 0, ValueError("no such column")) == Exit.USER_ERROR
    said = capsys.readouterr().out
    assert "no such column" in said
    assert "The bucket does not answer." in said
    assert failed(Away(tmp_path), 0, MemoryError()) == Exit.OUT_OF_MEMORY


LEAVING = """
import sys

def network(inputs, project):
    sys.exit("left in the middle")
"""


def test_a_worker_that_is_left_in_the_middle_ends_and_says_why(features: Path) -> None:
    job = job_of(features, "leaving", code=LEAVING, model={"function": "own.py:network"})
    job.save(Path(job.folder) / "job.json")
    command = [sys.executable, "-m", "lockgate.training.worker", f"{job.folder}/job.json", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode not in (Exit.DONE, Exit.SAVED)
    assert "left in the middle" in done.stderr
