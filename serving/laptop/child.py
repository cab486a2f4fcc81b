"""Processes that end with the one that started them, however that ends."""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

# A pipe tells the shell of our end, SIGKILL included: only we hold its other side. Linux's own way,
# PR_SET_PDEATHSIG, follows the thread that started the process, and macOS has none.
SCRIPT = """
exec 3<&0 </dev/null
"$@" 3<&- & child=$!
trap 'kill $child' TERM
(read -r _ <&3; kill $child) & watcher=$!
wait $child; code=$?
kill $watcher
exit $code
"""
STOP_SECONDS = 10.0


@contextmanager
def bound(command: Sequence[str], log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a command while the context lasts, and no longer than this process.

    Args:
        command: of a program that ends on SIGTERM.
        log: a file that takes what it writes.

    Yields:
        A process that ends when the program does, with its exit code (of a shell: 128 + signal).
    """
    process = subprocess.Popen(
        ["/bin/sh", "-c", SCRIPT, "sh", *command],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        start_new_session=True,  # Ctrl-C is for us; we end it
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
