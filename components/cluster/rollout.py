"""Delivery by rollout: a revision becomes the candidate of the model's ModelRollout."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from components.cluster.apply import NO_ACCESS, Objects, collection, path_of
from components.cluster.connection import JSON_PATCH, Absent, Changed, Forbidden, Object, Taken
from lockgate.errors import ClusterError, ConfigError, DeliveryError, StorageError
from lockgate.rollout.resource import API_VERSION, KIND, PLURAL, ModelRevision, Spec, Wishes
from lockgate.rollout.status import Status
from lockgate.shipping.folder import EXAMPLE, Example
from lockgate.shipping.manifest import routed
from lockgate.shipping.names import revision_name
from lockgate.shipping.revision import Revision
from lockgate.shipping.rollout import adopted, model_rollout, pushed_onto, written
from lockgate.storage import store_at

ATTEMPTS = 5


class RolloutDelivery:
    """Says in the model's ModelRollout that a revision is to take the traffic, and returns at once.

    The rollout controller does the rest. A model that has no ModelRollout gets one. Where a direct push has
    brought a revision to serve, that one is its stable revision; else the pushed one is.

    Args:
        objects: the connection to the cluster.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def deliver(self, revision: Revision) -> str:
        """Makes the revision the candidate; says what begins, and how to follow it.

        Raises:
            DeliveryError: the cluster knows no ModelRollouts or refuses this one, or the revision has been
            rolled back before.
        """
        collected = collection(API_VERSION, PLURAL, revision.namespace)
        try:
            for _ in range(ATTEMPTS):
                there = self._objects.find(f"{collected}/{revision.model}")
                try:
                    if there is None:
                        return self._created(collected, revision)
                    return self._changed(f"{collected}/{revision.model}", there, revision)
                except (Taken, Changed):
                    continue  # Somebody else has written it since it was read.
        except ClusterError as error:
            raise _refused(error) from None
        raise DeliveryError(
            f"{KIND} {revision.model} was changed by others each of the {ATTEMPTS} times that it was to be.",
            "Nothing is written over what was not read.",
            "Run the push step again.",
        )

    def _created(self, collected: str, revision: Revision) -> str:
        before = self._serving(revision)
        spec = revision.spec
        if before is not None:
            spec = pushed_onto(spec.model_copy(update={"stable": before}), spec, revision.card.difference)
        self._objects.create(collected, model_rollout(revision.model, revision.namespace, spec))
        if spec.candidate is not None and before is not None:
            name = revision_name(revision.model, before.digest)
            return _followed(revision, f"{KIND} {revision.model} made, with {name} as its stable revision")
        said = f"{KIND} {revision.model} made; {revision.name} gets all of the traffic when it serves"
        return f"{said}; {_how(revision)}"

    def _changed(self, path: str, there: Object, revision: Revision) -> str:
        now, status = _read(there)
        wanted = pushed_onto(now, revision.spec, revision.card.difference)
        if wanted.candidate is None or wanted.candidate.digest != revision.digest:
            return _is_stable(revision, now)
        _check_not_rejected(revision, status, Wishes.of(there["metadata"].get("annotations") or {}))
        if wanted == now:
            return f"{revision.name} is the candidate already; {_how(revision)}"
        self._objects.patch(path, _operations(there, now, wanted), JSON_PATCH)
        other = now.candidate
        if other is not None and other.digest != revision.digest:
            name = revision_name(revision.model, other.digest)
            return _followed(revision, f"the rollout of {name} ends, as a newer revision takes its place")
        return _followed(revision)

    def _serving(self, revision: Revision) -> ModelRevision | None:
        """Another revision that a direct push has brought all of the model's traffic to; None for none."""
        route = self._objects.find(path_of(revision.route))
        names = routed(route) if route is not None else ()
        if not names or names == (revision.name,):
            return None
        if len(names) > 1:
            raise DeliveryError(
                f"The route {revision.model} splits its traffic among {', '.join(names)}.",
                "A rollout begins where one revision has all of it.",
                f"Give it to one of them: `kubectl -n {revision.namespace} edit httproute {revision.model}`; "
                "then run the push step again.",
            )
        metadata = {**revision.service["metadata"], "name": names[0]}
        service = self._objects.find(path_of({**revision.service, "metadata": metadata}))
        found = None if service is None else adopted(service, {})
        if found is None:
            raise DeliveryError(
                f"The route {revision.model} leads to {names[0]}, which no push of Lockgate's has made.",
                "Only an InferenceService with the annotation lockgate.dev/digest can be a stable revision.",
                f"Write the {KIND} yourself (docs/rollout.md), or delete the route if nobody uses it.",
            )
        return found.model_copy(update={"example": _example(found.storage_uri)})


def _operations(there: Object, now: Spec, wanted: Spec) -> list[dict[str, Any]]:
    """The patch from one spec to another, on what was read alone; of parts that are alike nothing."""
    version = there["metadata"]["resourceVersion"]
    operations: list[dict[str, Any]] = [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": version}
    ]
    old, new, held = written(now), written(wanted), there["spec"]
    for key in sorted({*old, *new}):
        if old.get(key) == new.get(key):
            continue
        if key in new:
            operations.append({"op": "add", "path": f"/spec/{key}", "value": new[key]})
        elif key in held:
            operations.append({"op": "remove", "path": f"/spec/{key}"})
    return operations


def _read(there: Mapping[str, Any]) -> tuple[Spec, Status]:
    try:
        return Spec.model_validate(there["spec"]), Status.model_validate(there.get("status") or {})
    except ValidationError as error:
        name = there["metadata"]["name"]
        raise DeliveryError(
            f"{KIND} {name} cannot be read: {error}.",
            "Its spec must be as docs/rollout.md says.",
            f"Mend it: `kubectl edit modelrollout {name}`; then run the push step again.",
        ) from None


def _check_not_rejected(revision: Revision, status: Status, wishes: Wishes) -> None:
    rejected = status.rejected
    if rejected is None or rejected.digest != revision.digest or rejected.retry != wishes.retry:
        return
    raise DeliveryError(
        f"Revision {revision.name} was rolled back before, {rejected.reason}: {rejected.message}.",
        "The same model is not tried again by itself.",
        f"If the cause was another, `lockgate rollout retry {revision.model} --namespace "
        f"{revision.namespace}`, then run the push step again; else train another model.",
    )


def _example(address: str) -> Mapping[str, Any]:
    """A real row for a model that was pushed before, from its folder; none where that cannot be read."""
    try:
        return Example.model_validate_json(store_at(address).read(EXAMPLE)).row
    except (StorageError, ConfigError, ValidationError):
        return {}  # The revision is adopted by its pods, which serve already.


def _is_stable(revision: Revision, now: Spec) -> str:
    said = f"{revision.name} is the stable revision already"
    if now.candidate is None:
        return said
    other = revision_name(revision.model, now.candidate.digest)
    return f"{said}; the rollout of {other} goes on (to end it: `lockgate rollout abort {revision.model}`)"


def _followed(revision: Revision, first: str = "") -> str:
    said = f"rollout of {revision.name} begun; {_how(revision)}"
    return f"{first}; {said}" if first else said


def _how(revision: Revision) -> str:
    return (
        f"follow it with `kubectl -n {revision.namespace} get modelrollouts {revision.model} -w` or "
        f"`lockgate rollout status {revision.model} --namespace {revision.namespace}`"
    )


def _refused(error: ClusterError) -> DeliveryError:
    if isinstance(error, Absent):
        return DeliveryError(
            f"The cluster knows no {KIND}.",
            "Lockgate's manifests define it, and its controller carries it out.",
            "Apply them (`make deploy`), or set push.strategy to replace; then run the push step again.",
        )
    if isinstance(error, Forbidden):
        return DeliveryError(error.given, *NO_ACCESS)
    return DeliveryError(error.given, error.allowed, error.next_step)
