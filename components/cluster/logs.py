"""The chief's log in the step's own log."""

from collections.abc import Callable

from components.cluster.connection import Api
from components.cluster.observing import Worker
from components.cluster.work import NODE
from lockgate.errors import ClusterError

LINES_A_LOOK = 200
LINES = 5_000


class ChiefLog:
    """Prints what a pod has logged since the last look; of a flood only the end, and not for ever.

    Looks are requests of their own, so there is no stream to break off.

    Args:
        api: of the cluster.
        namespace: of the pods.
        tell: prints a line.
    """

    def __init__(self, api: Api, namespace: str, tell: Callable[[str], None]) -> None:
        self._api, self._namespace, self._tell = api, namespace, tell
        self._pod, self._last, self._lines = "", "", 0

    def look(self, chief: Worker) -> None:
        """Prints the new lines of this pod."""
        if self._lines >= LINES or not chief.has_started:
            return
        if chief.name != self._pod:
            self._pod, self._last = chief.name, ""
        query = {"container": NODE, "timestamps": "true", "tailLines": str(LINES_A_LOOK)}
        if self._last:
            query["sinceTime"] = self._last
        try:
            text = self._api.text(f"/api/v1/namespaces/{self._namespace}/pods/{chief.name}/log", **query)
        except ClusterError:
            # The pod has gone, or its container is not there yet: the next look finds what is left.
            return
        for line in text.splitlines():
            stamp, _, words = line.partition(" ")
            if stamp > self._last:
                self._last = stamp
                self._lines += 1
                self._tell(f"[worker {chief.index}] {words}")
        if self._lines >= LINES:
            self._tell(f"[worker {chief.index}] More than {LINES} lines: the rest is in the pod's own log.")
