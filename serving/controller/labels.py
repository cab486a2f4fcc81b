"""Late labels: both revisions' losses on the same labelled requests, as whoever has the labels writes them.

Below `spec.analysis.labels.uri`, in `labels/<model>/<first 8 digits of the candidate's digest>/`, lie objects
of JSON lines, `{"time": "2026-01-31T12:00:00Z", "candidate_loss": 0.31, "stable_loss": 0.33}`, each loss in
[0, 1]. An object is written once, whole, and never again.
"""

import logging
from collections.abc import Mapping

from pydantic import ValidationError

from lockgate.errors import StorageError
from lockgate.records import Record
from lockgate.storage import store_at
from serving.controller.ports import Rollout, Side

log = logging.getLogger("lockgate.controller")


class Line(Record):
    """One labelled request."""

    time: str
    candidate_loss: float
    stable_loss: float


class LabelSource:
    """Reads each object once.

    What is there at the first look at a candidate is left out: the controller may have been started anew, and
    counted it before. Labels that are missing prove nothing; labels that count twice would.
    """

    def __init__(self) -> None:
        self._candidate, self._known = "", set[str]()

    def losses(self, rollout: Rollout, names: Mapping[Side, str]) -> tuple[float, ...]:
        """Candidate's loss minus the stable's, clipped to [-1, 1], on requests not told of before."""
        uri = rollout.spec.analysis.labels.uri
        if not uri or "labels" not in rollout.spec.analysis.measures:
            return ()
        candidate = names["candidate"]
        folder = f"labels/{rollout.model}/{candidate.rsplit('-', 1)[1]}/"
        found: list[float] = []
        try:
            store = store_at(uri)
            there = set(store.names(folder))
            if candidate != self._candidate:
                self._candidate, self._known = candidate, there
            for name in sorted(there - self._known):
                found += _losses(store.read(name) or b"", name)
                self._known.add(name)
        except StorageError as error:
            log.warning("labels of %s cannot be read now: %s", rollout.model, error)
        return tuple(found)


def _losses(text: bytes, name: str) -> list[float]:
    try:
        lines = [Line.model_validate_json(line) for line in text.splitlines() if line.strip()]
    except ValidationError as error:
        log.warning("the labels in %s are left out: %s", name, error.errors()[0]["msg"])
        return []
    return [max(-1.0, min(1.0, line.candidate_loss - line.stable_loss)) for line in lines]
