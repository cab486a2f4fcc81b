"""kubectl and waiting, for the tests on a real cluster."""

import json
import subprocess
import time
from collections.abc import Callable
from typing import Any, TypeVar

POLL = 0.5
T = TypeVar("T")


class Kubectl:
    """Runs kubectl; what it prints comes back, and what it refuses is raised with its own words."""

    def __call__(self, *words: str, stdin: str | None = None) -> str:
        """The standard output of `kubectl words…`.

        Raises:
            CalledProcessError: kubectl failed; its message holds what it said.
        """
        done = subprocess.run(["kubectl", *words], input=stdin, capture_output=True, text=True, check=False)
        if done.returncode:
            said = f"kubectl {' '.join(words)}: {done.stderr.strip()}"
            raise subprocess.CalledProcessError(done.returncode, said, done.stdout, done.stderr)
        return done.stdout

    def get(self, kind: str, name: str = "", *, namespace: str = "", **more: str) -> dict[str, Any]:
        """One object as JSON, or a list where no name is given; `labels="a=b"` selects."""
        words = ["get", kind, *([name] if name else []), "-o", "json"]
        words += ["-n", namespace] if namespace else []
        words += ["-l", more["labels"]] if "labels" in more else []
        return json.loads(self(*words))

    def apply(self, *objects: dict[str, Any], namespace: str = "") -> None:
        """Applies objects on the server's side."""
        words = ["apply", "--server-side", "-f", "-", *(["-n", namespace] if namespace else [])]
        self(*words, stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))


def wait_for(condition: Callable[[], T | None], seconds: float, what: str) -> T:
    """What `condition` gives as soon as it is truthy.

    Raises:
        TimeoutError: it was not, all the time; names what was waited for.
    """
    end = time.monotonic() + seconds
    while True:
        if found := condition():
            return found
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come in {seconds:.0f} s")
        time.sleep(POLL)
