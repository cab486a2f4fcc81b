"""Points at which a test lets the controller die: before and after each of its writes.

`LOCKGATE_FAILPOINT=route.after:2` ends the process by SIGKILL, as a lost node would, when the point
`route.after` is reached the second time. Without the variable nothing happens.
"""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

VARIABLE = "LOCKGATE_FAILPOINT"
WRITES = ("memory", "status", "service", "route", "settle", "delete", "event")
_reached: Counter[str] = Counter()


@contextmanager
def writing(write: str) -> Iterator[None]:
    """Goes around one write, one of `WRITES`."""
    reach(f"{write}.before")
    yield
    reach(f"{write}.after")


def reach(point: str) -> None:
    """Dies here if this is where the test wants it."""
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    name, _, count = wanted.partition(":")
    _reached[point] += 1
    if point == name and _reached[point] == int(count or 1):
        os.kill(os.getpid(), signal.SIGKILL)
