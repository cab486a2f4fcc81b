"""Several worker processes on this machine: starts them, watches them, starts them again when one is lost."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, Any

from lockgate.errors import LockgateError, TrainingError
from lockgate.records import Record
from lockgate.training.exits import Action, decide, peers
from lockgate.training.reports import error_of
from lockgate.training.state import LoopState

POLL = 0.1
TAIL = 15


class LocalProcesses:
    """Runs a job's workers as processes that find each other on the loopback interface.

    Args:
        job: the job (`lockgate.training.job.Job`), written for the workers to read.
        folder: the job's folder; the workers' logs and their errors go there.
        workers: how many.
        max_restarts: how often lost workers are started again.
        grace: seconds that the workers have to save when asked to stop.
        progress: told the newest state of the chief.
    """

    def __init__(
        self,
        job: Record,
        folder: Path,
        *,
        workers: int,
        max_restarts: int,
        grace: float,
        progress: Callable[[LoopState], None],
    ) -> None:
        self.job, self.folder, self.workers = job, folder, workers
        self.max_restarts, self.grace, self.progress = max_restarts, grace, progress
        self.restarts = 0
        self.processes: list[subprocess.Popen[bytes]] = []

    def run(self) -> None:
        """Returns when every worker is done.

        Raises:
            KeyboardInterrupt: it was asked to stop (SIGINT, SIGTERM); the workers have saved.
            TrainingError: the user's own error with its traceback, no memory, or too many restarts.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.job.save(self.folder / "job.json")
        with stop_wishes() as wants_stop:
            while True:
                match self._attempt(wants_stop):
                    case Action.FINISH:
                        return
                    case Action.SAVED:
                        raise KeyboardInterrupt
                    case Action.FAIL:
                        raise self._user_error()
                    case Action.OUT_OF_MEMORY:
                        raise self._out_of_memory()
                    case _ if self.restarts < self.max_restarts:
                        self.restarts += 1
                    case _:
                        raise self._lost()

    def _attempt(self, wants_stop: Callable[[], bool]) -> Action:
        for old in self.folder.glob("error-*.txt"):
            old.unlink()
        killed_before = kills_for_memory()
        ports = free_ports(self.workers)
        logs = [(self.folder / f"worker-{w}.log").open("ab") for w in range(self.workers)]
        self.processes = [self._start(w, ports, log) for w, log in enumerate(logs)]
        asked_at: float | None = None
        seen: float = 0.0
        try:
            while True:
                codes = [p.poll() for p in self.processes]
                seen = self._relay(seen)
                action = decide(
                    codes,
                    has_user_error=bool(self._errors()),
                    was_out_of_memory=kills_for_memory() > killed_before,
                )
                if action is not Action.WAIT:
                    # A worker that is lost while all are saving was asked to stop, not to start again.
                    return Action.SAVED if action is Action.RESTART and asked_at is not None else action
                if wants_stop() and asked_at is None:
                    asked_at = time.monotonic()
                    self._signal(signal.SIGTERM)
                if asked_at is not None and time.monotonic() - asked_at > self.grace:
                    return Action.SAVED
                time.sleep(POLL)
        finally:
            self._signal(signal.SIGKILL)
            for process, log in zip(self.processes, logs, strict=True):
                process.wait()
                log.close()

    def _start(self, worker: int, ports: Sequence[int], log: IO[bytes]) -> subprocess.Popen[bytes]:
        environment = os.environ | {
            "TF_CONFIG": json.dumps(peers(ports, worker)),
            "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "1"),
        }
        command = [
            sys.executable,
            "-m",
            "lockgate.training.worker",
            str(self.folder / "job.json"),
            str(worker),
        ]
        # A session of its own: Ctrl-C reaches this process only, which asks all workers in turn.
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)

    def _signal(self, number: int) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(number)

    def _relay(self, seen: float) -> float:
        """Tells the chief's newest state, once."""
        file = self.folder / "progress.json"
        changed = file.stat().st_mtime if file.exists() else 0.0
        if changed > seen:
            self.progress(LoopState.load(file))
        return max(changed, seen)

    def _errors(self) -> list[Path]:
        return sorted(self.folder.glob("error-*.txt"))

    def _user_error(self) -> LockgateError:
        if not (files := self._errors()):
            return TrainingError(f"A worker failed: {self._tail()}", "", f"Read {self.folder}/worker-0.log.")
        return error_of({int(f.stem.rpartition("-")[2]): f.read_text(encoding="utf-8") for f in files})

    def _out_of_memory(self) -> TrainingError:
        return TrainingError(
            "A worker was killed because the memory was used up.",
            f"{self.workers} workers share this machine's memory.",
            "Lower train.batch_size or train.workers, then run `lockgate run --resume`.",
        )

    def _lost(self) -> TrainingError:
        return TrainingError(
            f"A worker was lost {self.restarts + 1} times; its last words: {self._tail()}",
            f"train.max_restarts allows {self.max_restarts} restarts.",
            f"Read the logs in {self.folder}, then run `lockgate run --resume`.",
        )

    def _tail(self) -> str:
        logs = [(self.folder / f"worker-{w}.log").read_text(errors="replace") for w in range(self.workers)]
        return "\n".join(line for log in logs for line in log.splitlines()[-TAIL:])


@contextmanager
def stop_wishes() -> Iterator[Callable[[], bool]]:
    """Turns SIGINT and SIGTERM into a wish that can be asked for, as long as the context lasts.

    Outside of the main thread signals stay as they are, and nobody ever wishes.
    """
    wishes: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return

    def wish(number: int, _: FrameType | None) -> None:
        wishes.append(number)

    before: dict[int, Any] = {n: signal.signal(n, wish) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(wishes)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that are free now, no port twice."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def kills_for_memory() -> int:
    """How many processes the kernel has killed for memory so far, on this machine or in this container."""
    total = 0
    for file in (Path("/sys/fs/cgroup/memory.events"), Path("/proc/vmstat")):
        if file.exists():
            lines = (line.split() for line in file.read_text().splitlines())
            total += sum(int(words[1]) for words in lines if words[0] == "oom_kill")
    return total
