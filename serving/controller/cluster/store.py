"""The ModelRollout on the API server, the controller's memory of it in a ConfigMap, and its events."""

import json
import logging
from typing import Any, Literal

from pydantic import ValidationError

from components.cluster.apply import collection
from components.cluster.connection import JSON_PATCH, Absent, Api, Object
from lockgate.errors import ClusterError
from lockgate.rollout.resource import API_VERSION, KIND, PLURAL, Spec, Wishes
from lockgate.rollout.status import Status
from lockgate.shipping.manifest import MODEL_LABEL
from serving.controller.cluster.events import Events
from serving.controller.ports import Memory, Rollout

log = logging.getLogger("lockgate.controller")
KEY = "memory.json"


class Unreadable(ClusterError):
    """The ModelRollout is not as the controller understands it."""


class ClusterStore:
    """One model's ModelRollout.

    Args:
        api: the connection to the cluster.
        namespace: of the model.
        model: its name.
    """

    def __init__(self, api: Api, namespace: str, model: str) -> None:
        self._api, self._namespace, self._model = api, namespace, model
        self._path = f"{collection(API_VERSION, PLURAL, namespace)}/{model}"
        self._there: Object = {}
        self._events = Events(api)

    def read(self) -> Rollout | None:
        """The ModelRollout as it is now; None when there is none any more, or it is being deleted.

        Raises:
            Unreadable: its spec or its status is not valid.
            ClusterError: it cannot be read.
        """
        try:
            there = self._api.get(self._path)
        except Absent:
            return None
        if "deletionTimestamp" in there["metadata"]:
            return None
        self._there = there
        return rollout_of(there)

    def owner(self) -> Object:
        """Makes what it stands on go with the ModelRollout that was read last."""
        return {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "name": self._model,
            "uid": self._there["metadata"]["uid"],
            "controller": True,
        }

    def write_status(self, _: Rollout, status: Status) -> None:
        """Writes the status whole: what is no longer in it goes.

        Raises:
            ClusterError: it cannot be written.
        """
        written = json.loads(status.model_dump_json(by_alias=True, exclude_none=True))
        self._api.patch(
            f"{self._path}/status", [{"op": "add", "path": "/status", "value": written}], JSON_PATCH
        )

    def fail(self, reason: str, sentence: str) -> None:
        """Says in the status that looking failed; the rest of the status stays.

        Raises:
            ClusterError: it cannot be written.
        """
        there = self._api.get(self._path)
        said = {"phase": "Error", "reason": reason, "message": sentence}
        if not said.items() <= (there.get("status") or {}).items():
            self._there = there
            self._api.patch(f"{self._path}/status", {"status": said})
            self.tell("Warning", reason, sentence)

    def recall(self) -> Memory | None:
        """The memory that was kept last; none where an older version's cannot be read.

        Raises:
            ClusterError: it cannot be read.
        """
        try:
            kept = self._api.get(self._memory_path()).get("data", {})
        except Absent:
            return None
        try:
            return Memory.model_validate_json(kept.get(KEY, ""))
        except ValidationError:
            log.warning("the memory of %s cannot be read; its rollout is judged anew", self._model)
            return None

    def keep(self, memory: Memory) -> None:
        """Keeps the memory.

        Raises:
            ClusterError: it cannot be written.
        """
        data = {KEY: memory.model_dump_json()}
        metadata = {
            "name": f"{self._model}-rollout",
            "labels": {"app.kubernetes.io/part-of": "lockgate", MODEL_LABEL: self._model},
            "ownerReferences": [self.owner()],
        }
        made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        try:
            self._api.patch(self._memory_path(), {"metadata": metadata, "data": data})
        except Absent:
            self._api.create(collection("v1", "configmaps", self._namespace), made)

    def tell(self, kind: Literal["Normal", "Warning"], reason: str, sentence: str) -> None:
        """An event on the ModelRollout that was read last, and a line in the log."""
        self._events.tell(self._there, kind, reason, sentence)

    def _memory_path(self) -> str:
        return f"{collection('v1', 'configmaps', self._namespace)}/{self._model}-rollout"


def rollout_of(there: Object) -> Rollout:
    """A ModelRollout as the API server has it.

    Raises:
        Unreadable: its spec or its status is not valid.
    """
    metadata = there["metadata"]
    try:
        spec = Spec.model_validate(there.get("spec"))
        status = Status.model_validate(there.get("status") or {})
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:3])
        raise Unreadable(
            f"{KIND} {metadata['name']} cannot be read: {faults}.",
            "It must be as docs/rollout.md says; until it is, traffic stays as it is.",
            f"Mend it: `kubectl -n {metadata['namespace']} edit modelrollout {metadata['name']}`.",
        ) from None
    return Rollout(
        model=metadata["name"],
        namespace=metadata["namespace"],
        generation=metadata["generation"],
        spec=spec,
        status=mended(status),
        wishes=Wishes.of(metadata.get("annotations") or {}),
    )


def mended(status: Status) -> Status:
    """What the status said before an error took the place of its sentence.

    A rollout that is under way says it anew at every look; one that has ended, or none, does not.
    """
    if status.phase != "Error":
        return status
    said: dict[str, Any] = {"reason": "Serving", "message": f"revision {status.stable[:8]} serves"}
    if status.stage in {"promoted", "rolledBack"} and status.history:
        last = status.history[0]
        said = {"reason": last.reason, "message": f"revision {last.candidate[:8]}: {last.message}"}
    return status.model_copy(update=said)
