"""ModelRollouts as people use them: read, and asked for something by annotations."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from pydantic import ValidationError

from components.cluster.apply import collection
from components.cluster.connection import Absent, Api, Forbidden, Unreachable
from lockgate.errors import ClusterError
from lockgate.rollout.resource import API_VERSION, GROUP, KIND, PLURAL, Spec, Wishes
from lockgate.rollout.status import Status

POLL = 1.0


@dataclass(frozen=True)
class Shown:
    """A ModelRollout as it is now. `created` is UTC."""

    model: str
    created: datetime
    spec: Spec
    status: Status
    wishes: Wishes


class ModelRollouts:
    """The ModelRollouts of a namespace.

    Args:
        api: the connection to the cluster.
        namespace: of the models.
    """

    def __init__(self, api: Api, namespace: str) -> None:
        self._api, self.namespace = api, namespace
        self._collected = collection(API_VERSION, PLURAL, namespace)

    @classmethod
    def connect(cls, namespace: str) -> Self:
        """Those on the cluster that KUBECONFIG names.

        Raises:
            ClusterError: there is none.
        """
        return cls(Api.connect(), namespace)

    def all(self) -> list[Shown]:
        """All of them, by name.

        Raises:
            ClusterError: the cluster does not answer or refuses, or knows no ModelRollouts.
        """
        try:
            found = self._api.get(self._collected)["items"]
        except ClusterError as error:
            raise self._explained(error) from None
        return sorted((_shown(item) for item in found), key=lambda shown: shown.model)

    def one(self, model: str) -> Shown:
        """That of a model.

        Raises:
            ClusterError: there is none, with the names of those that are; or as for `all`.
        """
        try:
            return _shown(self._api.get(f"{self._collected}/{model}"))
        except Absent:
            names = ", ".join(shown.model for shown in self.all()) or "none"
            raise ClusterError(
                f"Namespace {self.namespace} has no {KIND} {model}.",
                f"Those that are there: {names}.",
                "Name one of them, or another namespace by --namespace.",
            ) from None
        except ClusterError as error:
            raise self._explained(error) from None

    def ask(self, model: str, **wishes: str | None) -> None:
        """Sets annotations `lockgate.dev/…`; None takes one away.

        Raises:
            ClusterError: as for `one`.
        """
        annotations = {f"{GROUP}/{name}": text for name, text in wishes.items()}
        try:
            self._api.patch(f"{self._collected}/{model}", {"metadata": {"annotations": annotations}})
        except ClusterError as error:
            raise self._explained(error) from None

    def wait(self, model: str, condition: Callable[[Shown], bool], seconds: float) -> Shown:
        """The ModelRollout as soon as the condition holds.

        Raises:
            ClusterError: it did not in time; or as for `one`.
        """
        deadline = time.monotonic() + seconds
        while not condition(shown := self.one(model)):
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"After {seconds:.0f} s the rollout of {model} is {shown.status.phase}: "
                    f"{shown.status.message}.",
                    "The rollout controller carries out what is asked for.",
                    f"See whether it runs: `kubectl -n {self.namespace} get deployment lockgate-controller`.",
                )
            time.sleep(POLL)
        return shown

    def _explained(self, error: ClusterError) -> ClusterError:
        if isinstance(error, Absent):
            return ClusterError(
                f"The cluster knows no {KIND}.",
                "Lockgate's manifests define it.",
                "Apply them: make deploy.",
            )
        if isinstance(error, Forbidden):
            return ClusterError(
                error.given,
                f"Your account must be allowed to read and patch {PLURAL} in {self.namespace}.",
                "Ask for the role lockgate-rollout-operator.",
            )
        if isinstance(error, Unreachable):
            return ClusterError(error.given, "KUBECONFIG names the cluster.", "Set KUBECONFIG.")
        return error


def _shown(item: Mapping[str, Any]) -> Shown:
    metadata = item["metadata"]
    try:
        spec, status = Spec.model_validate(item["spec"]), Status.model_validate(item.get("status") or {})
    except ValidationError as error:
        raise ClusterError(
            f"{KIND} {metadata['name']} cannot be read: {error}.",
            "Its spec must be as docs/rollout.md says.",
            f"Mend it: `kubectl -n {metadata['namespace']} edit modelrollout {metadata['name']}`.",
        ) from None
    return Shown(
        model=metadata["name"],
        created=datetime.fromisoformat(metadata["creationTimestamp"]),
        spec=spec,
        status=status,
        wishes=Wishes.of(metadata.get("annotations") or {}),
    )
