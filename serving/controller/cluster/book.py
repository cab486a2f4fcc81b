"""The book in the ModelRollout itself: its spec says which revision is the stable one."""

from dataclasses import replace
from typing import Any, Literal

from components.cluster.apply import collection
from components.cluster.connection import JSON_PATCH, Absent, Api, Changed, Object
from lockgate.errors import DeliveryError
from lockgate.rollout.resource import API_VERSION, KIND, PLURAL
from lockgate.rollout.status import Status
from lockgate.shipping.names import revision_name
from lockgate.shipping.rollout import adopted
from lockgate.shipping.settled import settled_spec
from serving.controller.cluster.fleet import SERVICES
from serving.controller.cluster.gitbook import GitBook
from serving.controller.ports import Rollout

ATTEMPTS = 5


class SpecBook:
    """Writes the end of a rollout into the spec, on top of what others have written meanwhile.

    Args:
        api: the connection to the cluster.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    def settle(self, kind: Literal["promote", "reject"], rollout: Rollout, status: Status) -> str:
        """Makes the judged candidate the stable revision, or takes it out; returns where, as a phrase.

        Raises:
            DeliveryError: others write all the time, or nothing says any more what was promoted.
            ClusterError: the API does not answer, or refuses.
        """
        path = f"{collection(API_VERSION, PLURAL, rollout.namespace)}/{rollout.model}"
        for _ in range(ATTEMPTS):
            there = self._api.get(path)
            wanted = settled_spec(there["spec"], kind, rollout.model, status.candidate, rollout.spec)
            try:
                if wanted is not None:
                    self._api.patch(path, _operations(there, wanted), JSON_PATCH)
            except Changed:
                continue  # Somebody else has written it since it was read.
            return f"the spec of {KIND} {rollout.model}"
        raise DeliveryError(
            f"{KIND} {rollout.model} was changed by others each of the {ATTEMPTS} times that it was to be.",
            "Nothing is written over what was not read.",
            "The controller tries again by itself.",
        )


class ClusterBook:
    """Git where the ModelRollout names a repository, else its spec.

    Args:
        api: the connection to the cluster.
    """

    def __init__(self, api: Api) -> None:
        self._api, self._spec, self._git = api, SpecBook(api), GitBook()

    def settle(self, kind: Literal["promote", "reject"], rollout: Rollout, status: Status) -> str:
        """As the book that is chosen."""
        book = self._spec if rollout.spec.git is None else self._git
        return book.settle(kind, self._known(rollout, status.candidate), status)

    def _known(self, rollout: Rollout, judged: str) -> Rollout:
        """The rollout with the judged candidate; as it serves, where the spec has another one by now."""
        spec = rollout.spec
        if spec.candidate is not None and spec.candidate.digest == judged:
            return rollout
        name = revision_name(rollout.model, judged)
        try:
            service = self._api.get(f"{collection(SERVICES, 'inferenceservices', rollout.namespace)}/{name}")
        except Absent:
            return rollout
        return replace(rollout, spec=spec.model_copy(update={"candidate": adopted(service, {})}))


def _operations(there: Object, wanted: dict[str, Any]) -> list[dict[str, Any]]:
    """The patch to the wanted spec; a revision is replaced whole, so that no part of the old one stays."""
    version = there["metadata"]["resourceVersion"]
    operations: list[dict[str, Any]] = [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": version}
    ]
    if wanted["stable"] != there["spec"]["stable"]:
        operations.append({"op": "replace", "path": "/spec/stable", "value": wanted["stable"]})
    if "candidate" in there["spec"] and "candidate" not in wanted:
        operations.append({"op": "remove", "path": "/spec/candidate"})
    return operations
