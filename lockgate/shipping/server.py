"""The model server as a process of its own: started, waited for, measured, and stopped for certain."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx

from lockgate.errors import ServingError

# A name, not an import: the logic layer does not know the serving layer, it only starts it.
RUNTIME = "serving.runtime"
ROOT = Path(__file__).resolve().parents[2]
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Running:
    """A model server that answers: its URL, its process, and the seconds from start to readiness."""

    url: str
    name: str
    pid: int
    load_seconds: float

    def memory_mb(self) -> float:
        """The resident memory of the server's process now, in megabytes (1,000,000 bytes)."""
        import psutil

        return float(psutil.Process(self.pid).memory_info().rss) / 1e6


@contextmanager
def running(
    model: Path, name: str, deadline: float = 120.0, options: Sequence[str] = (), grace: float = 30.0
) -> Iterator[Running]:
    """Serves a model folder in a fresh process, on a free port of 127.0.0.1, while the context lasts.

    The port is bound here and handed over, so that nothing else can take it in between.

    Args:
        model: the model folder.
        name: the model's name in the URL.
        deadline: seconds to wait for the first answer.
        options: more words for the server's command line.
        grace: seconds that the server has to stop before it is killed.

    Raises:
        ServingError: the server ended, or was not ready in time; with the last line it wrote.
    """
    with socket.socket() as bound, tempfile.TemporaryFile() as log:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        started = time.monotonic()
        process = subprocess.Popen(
            # Nobody routes to it: told to stop, it need not wait until others have heard of it.
            command(model, name, ["--fd", str(bound.fileno()), "--drain", "0", *options]),
            pass_fds=[bound.fileno()],
            env=environment(),
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
        bound.close()
        try:
            if failure := wait_until_ready(process, f"{url}/v2/models/{name}/ready", deadline):
                raise _failed(f"The model server {failure} after {time.monotonic() - started:.1f} s", log)
            seconds = time.monotonic() - started
            yield Running(url=url, name=name, pid=process.pid, load_seconds=seconds)
        finally:
            stop(process, grace)


def command(model: Path, name: str, options: Sequence[str]) -> list[str]:
    """The command line of the model server."""
    return [sys.executable, "-m", RUNTIME, "--model", str(model), "--name", name, *options]


def environment() -> dict[str, str]:
    """The environment of the model server: ours, with the serving layer on the path and TensorFlow quiet."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    # Without a GPU: on a machine with one, the process that starts the server may hold all of its memory.
    return {**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": ""}


def wait_until_ready(process: subprocess.Popen[bytes], url: str, seconds: float) -> str:
    """Waits until the server's readiness URL answers; says why where it does not, else nothing."""
    deadline = time.monotonic() + seconds
    with httpx.Client(trust_env=False) as client:
        while time.monotonic() < deadline:
            if _answers(client, url, max(0.1, deadline - time.monotonic())):
                return ""
            try:
                return f"ended with exit code {process.wait(POLL_SECONDS)}"
            except subprocess.TimeoutExpired:
                continue
    return "was not ready"


def _answers(client: httpx.Client, url: str, timeout: float) -> bool:
    try:
        return client.get(url, timeout=timeout).status_code == httpx.codes.OK
    except httpx.TransportError:  # it does not listen before its model is loaded
        return False


def _failed(what: str, log: IO[bytes]) -> ServingError:
    log.seek(0)
    lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    said = " ".join(lines[-3:]) if lines else "it wrote nothing"
    return ServingError(f"{what}: {said}", "It must load the model and answer.", "")


def stop(process: subprocess.Popen[bytes], grace: float) -> None:
    """Asks the server to finish what it has; kills it when it has not ended after `grace` seconds."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
