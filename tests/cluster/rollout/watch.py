"""A second pair of eyes on a rollout: status, route and the clients' own counts, side by side."""

import threading
import time
from dataclasses import dataclass
from itertools import groupby
from types import TracebackType
from typing import Self

from components.cluster.apply import collection
from components.cluster.connection import Absent, Api
from lockgate.rollout.status import Status
from tests.cluster.penguins import MODEL
from tests.cluster.rollout.scene import Scene, weights
from tests.cluster.rollout.traffic import Answers

POLL = 0.5
# So long after a weight was seen the gateway may still go by the one before.
SETTLED = 2.0


@dataclass(frozen=True)
class Moment:
    """What was seen at one time, in seconds of a monotonic clock."""

    time: float
    status: Status
    weights: dict[str, int]
    answers: Answers


class Watch:
    """Looks twice a second from a thread, as long as the context lasts."""

    def __init__(self, scene: Scene) -> None:
        self.moments: list[Moment] = []
        self._scene, self._api = scene, Api.connect()
        self._route = f"{collection('gateway.networking.k8s.io/v1', 'httproutes', scene.namespace)}/{MODEL}"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="watch")
        self._failure: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._failure is not None and error is None:
            raise self._failure

    def steps(self, revision: str) -> list[int]:
        """The revision's weights in the route, in the order in which they were seen."""
        return [weight for weight, _ in groupby(m.weights.get(revision, 0) for m in self.moments)]

    def first(self, revision: str, weight: int) -> float:
        """When the revision was first seen with this weight."""
        return next(m.time for m in self.moments if m.weights.get(revision) == weight)

    def shares(self, revision: str) -> list[tuple[int, int, int]]:
        """For each weight below 100 % in turn: the weight, the revision's answers, and all answers."""
        found = []
        for weight, group in groupby(self.moments, lambda m: m.weights.get(revision, 0)):
            span = list(group)
            span = [m for m in span if m.time >= span[0].time + SETTLED]
            if 0 < weight < 100 and len(span) > 1:
                counted = span[-1].answers - span[0].answers
                digits = revision.rpartition("-")[2]
                mine = sum(n for (_, by), n in counted.items() if by == digits)
                found.append((weight, mine, counted.total()))
        return found

    def _look_on(self) -> None:
        try:
            while not self._stop.wait(POLL):
                self.moments.append(self._look())
        except Exception as failure:  # raised again where the context ends
            self._failure = failure

    def _look(self) -> Moment:
        try:
            split = weights(self._api.get(self._route))
        except Absent:
            split = {}
        return Moment(time.monotonic(), self._scene.status, split, self._scene.traffic.answers)
