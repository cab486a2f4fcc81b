"""The book in the ModelRollout itself: its spec says which revision is the stable one."""

from typing import Any, Literal

from components.cluster.apply import collection
from components.cluster.connection import JSON_PATCH, Absent, Api, Changed, Object
from lockgate.errors import DeliveryError
from lockgate.rollout.resource import API_VERSION, KIND, PLURAL, ModelRevision, Status
from lockgate.shipping.manifest import DIGEST_ANNOTATION
from lockgate.shipping.names import revision_name
from lockgate.shipping.rollout import adopted
from serving.controller.cluster.fleet import SERVICES
from serving.controller.ports import Book, Rollout

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

        A newer candidate that was pushed meanwhile stays the candidate. Where somebody has written another
        stable revision since the rollout began, their word stands.

        Raises:
            DeliveryError: others write all the time, or nothing says any more what was promoted.
            ClusterError: the API does not answer.
        """
        path = f"{collection(API_VERSION, PLURAL, rollout.namespace)}/{rollout.model}"
        for _ in range(ATTEMPTS):
            there = self._api.get(path)
            changes = self._changes(kind, rollout, status, there)
            try:
                if changes:
                    version = there["metadata"]["resourceVersion"]
                    unchanged = {"op": "replace", "path": "/metadata/resourceVersion", "value": version}
                    self._api.patch(path, [unchanged, *changes], JSON_PATCH)
            except Changed:
                continue  # Somebody else has written it since it was read.
            return f"spec of {KIND} {rollout.model}"
        raise DeliveryError(
            f"{KIND} {rollout.model} was changed by others each of the {ATTEMPTS} times that it was to be.",
            "Nothing is written over what was not read.",
            "The controller tries again by itself.",
        )

    def _changes(
        self, kind: Literal["promote", "reject"], rollout: Rollout, status: Status, there: Object
    ) -> list[dict[str, Any]]:
        spec = there["spec"]
        candidate = spec.get("candidate") or {}
        is_judged = candidate.get("digest") == status.candidate
        out = [{"op": "remove", "path": "/spec/candidate"}] if is_judged else []
        if kind == "reject":
            return out
        if spec["stable"]["digest"] != rollout.spec.stable.digest or rollout.spec.stable.digest == status.candidate:
            return []
        promoted = candidate if is_judged else self._promoted(rollout, status)
        return [{"op": "replace", "path": "/spec/stable", "value": promoted}, *out]

    def _promoted(self, rollout: Rollout, status: Status) -> Object:
        """The promoted revision, when the spec has another candidate already: as it was read, or as it serves."""
        known = rollout.spec.candidate
        if known is None or known.digest != status.candidate:
            known = self._serving(rollout, status.candidate)
        return known.model_dump(mode="json", by_alias=True, exclude_defaults=True)

    def _serving(self, rollout: Rollout, digest: str) -> ModelRevision:
        name = revision_name(rollout.model, digest)
        try:
            service = self._api.get(f"{collection(SERVICES, 'inferenceservices', rollout.namespace)}/{name}")
        except Absent:
            service = {"metadata": {"annotations": {DIGEST_ANNOTATION: ""}}, "spec": {}}
        found = adopted(service, {})
        if found is None or found.digest != digest:
            raise DeliveryError(
                f"Revision {name} was promoted and has all of the traffic, but was taken out of the spec.",
                "What the spec says must be what serves.",
                "Write it there as spec.stable, or write another stable revision; the controller follows.",
            )
        return found


class EitherBook:
    """Git where the ModelRollout names a repository, else the spec.

    Args:
        spec: the book in the spec.
        git: the book in a repository.
    """

    def __init__(self, spec: Book, git: Book) -> None:
        self._spec, self._git = spec, git

    def settle(self, kind: Literal["promote", "reject"], rollout: Rollout, status: Status) -> str:
        """As the book that is chosen."""
        return (self._spec if rollout.spec.git is None else self._git).settle(kind, rollout, status)
