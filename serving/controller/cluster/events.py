"""Events on ModelRollouts, which `kubectl describe` shows as the story of a rollout."""

import hashlib
import logging
from collections import Counter
from datetime import UTC, datetime
from typing import Literal

from components.cluster.apply import collection
from components.cluster.connection import Api, Object, Taken
from lockgate.errors import ClusterError

log = logging.getLogger("lockgate.controller")
# The API server takes no longer message.
LONGEST = 1024
# So many different ones are counted; the API server forgets its own after an hour.
COUNTED = 1000


class Events:
    """Writes events; the same one again is counted, and not another.

    Args:
        api: the connection to the cluster.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._told: Counter[str] = Counter()

    def tell(self, about: Object, kind: Literal["Normal", "Warning"], reason: str, sentence: str) -> None:
        """Tells it of an object, as it was read, and to the log; what cannot be written is only logged."""
        sentence = sentence if len(sentence) <= LONGEST else f"{sentence[: LONGEST - 1]}…"
        metadata = about["metadata"]
        place = f"{metadata['namespace']}/{metadata['name']}"
        level = logging.WARNING if kind == "Warning" else logging.INFO
        log.log(level, "%s: %s: %s", place, reason, sentence)
        event = _event(about, kind, reason, sentence)
        name, events = event["metadata"]["name"], collection("v1", "events", metadata["namespace"])
        if len(self._told) >= COUNTED:
            self._told.clear()
        self._told[name] += 1
        try:
            try:
                self._api.create(events, event)
            except Taken:
                # How often it was told before this process began is not known: at least once.
                self._told[name] = max(2, self._told[name])
                again = {"count": self._told[name], "lastTimestamp": event["lastTimestamp"]}
                self._api.patch(f"{events}/{name}", again)
        except ClusterError as error:
            log.warning("%s: an event could not be written: %s", place, error)


def _event(about: Object, kind: str, reason: str, sentence: str) -> Object:
    metadata = about["metadata"]
    said = f"{metadata['uid']} {kind} {reason} {sentence}"
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata['name']}.{hashlib.sha256(said.encode()).hexdigest()[:12]}",
            "namespace": metadata["namespace"],
        },
        "involvedObject": {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        },
        "type": kind,
        "reason": reason,
        "message": sentence,
        "source": {"component": "lockgate-controller"},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
