"""Objects on a Kubernetes API server, written by server-side apply under a field manager of our own."""

import json
import re
import time
from collections.abc import Mapping
from typing import Any

from components.cluster.connection import (
    ATTEMPTS,
    FIELD_MANAGER,
    PAUSE,
    Absent,
    Api,
    Forbidden,
    Object,
    Unreachable,
)
from lockgate.errors import ClusterError, DeliveryError, LockgateError

APPLY = "application/apply-patch+yaml"
PLURALS = {"InferenceService": "inferenceservices", "HTTPRoute": "httproutes"}
PARTS = {"InferenceService": "KServe", "HTTPRoute": "the Gateway API"}
NO_ACCESS = (
    "The service account of the push step needs what the role lockgate-push grants.",
    "Apply Lockgate's manifests to the cluster, or bind that role.",
)

NO_RIGHT = (
    "The controller's service account needs what the role lockgate-controller grants.",
    "Apply Lockgate's manifests to the cluster, or bind that role.",
)


class Overtaken(DeliveryError):
    """The object is no longer of the resourceVersion that the manifest names."""


class Objects(Api):
    """Requests to one cluster, with server-side apply."""

    def apply(self, manifest: Mapping[str, Any], *, is_trial: bool = False) -> Object:
        """Makes the object have what the manifest says; fields that others set stay theirs.

        Nothing is written where nothing differs.

        Args:
            manifest: of the object.
            is_trial: only asks whether the server would take it.

        Returns:
            The object as the server has it now.

        Raises:
            Overtaken: the manifest names a resourceVersion, and the object has changed since.
            DeliveryError: another manager holds a field with another value, or the server refuses.
        """
        for attempt in range(ATTEMPTS):
            try:
                return self._applied(manifest, is_trial=is_trial)
            except Unreachable as error:
                if attempt + 1 == ATTEMPTS:
                    raise DeliveryError(*error.args) from None
            time.sleep(PAUSE * 2**attempt)
        raise AssertionError("the last attempt returns or raises")

    def impose(self, manifest: Mapping[str, Any]) -> Object:
        """As `apply`, asked once; fields that others hold with another value are taken from them.

        Raises:
            Unreachable: the server does not answer now.
            Forbidden: the account may not do this.
            DeliveryError: the server refuses the manifest, a quota or a policy among the reasons.
        """
        return self._applied(manifest, is_forced=True)

    def find(self, path: str) -> Object | None:
        """The object at a path of the API, or None.

        Raises:
            DeliveryError: it may not be read.
        """
        try:
            return self.get(path)
        except Absent:
            return None
        except ClusterError as error:
            raise _not_read(error) from None

    def items(self, path: str, labels: str) -> list[Object]:
        """The objects of a collection that have the labels, `a=b,…`.

        Raises:
            DeliveryError: they may not be read.
        """
        try:
            return list(self.get(path, labelSelector=labels)["items"])
        except ClusterError as error:
            raise _not_read(error) from None

    def _applied(
        self, manifest: Mapping[str, Any], *, is_trial: bool = False, is_forced: bool = False
    ) -> Object:
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        try:
            answer, _, _ = self._client.call_api(
                path_of(manifest),
                "PATCH",
                query_params=[
                    ("fieldManager", FIELD_MANAGER),
                    ("force", str(is_forced).lower()),
                    *([("dryRun", "All")] if is_trial else []),
                ],
                header_params={"Accept": "application/json", "Content-Type": APPLY},
                body=dict(manifest),
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=self._limits,
            )
        except ApiException as error:
            status = _status(error)
            if is_forced and _is_right_missing(error.status, status):
                raise Forbidden(str(status["message"]), *NO_RIGHT) from None
            raise refusal(error.status, status, manifest) from None
        except HTTPError as error:
            raise Unreachable(
                f"The Kubernetes API does not answer: {error}.", "", "Check the cluster and the network."
            ) from None
        found: Object = json.loads(answer.data)
        return found


def path_of(manifest: Mapping[str, Any]) -> str:
    """Where the API server keeps the object that a manifest describes."""
    metadata = manifest["metadata"]
    return collection(manifest["apiVersion"], PLURALS[manifest["kind"]], metadata["namespace"]) + (
        f"/{metadata['name']}"
    )


def collection(version: str, plural: str, namespace: str) -> str:
    """Where the API server keeps a namespace's objects of a kind; `version` such as apps/v1 or v1."""
    root = "apis" if "/" in version else "api"
    return f"/{root}/{version}/namespaces/{namespace}/{plural}"


def refusal(code: int, status: Mapping[str, Any], manifest: Mapping[str, Any]) -> LockgateError:
    """The server's answer to an apply in three sentences; Unreachable where asking later may help.

    Args:
        code: the HTTP status.
        status: the answer's body.
        manifest: what was to be applied.
    """
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    said = str(status.get("message") or f"status {code}")
    details = status.get("details") or {}
    conflicts = [c for c in details.get("causes") or () if c.get("reason") == "FieldManagerConflict"]
    given = f"The cluster refuses {kind} {name}: {said}"
    if code == 409 and conflicts:
        return _conflict(kind, name, conflicts)
    if code == 409 and "resourceVersion" in manifest["metadata"]:
        return Overtaken(
            given, "It must stay as it was read until it is written.", "Run the push step again."
        )
    if code == 429 or code >= 500:
        # A webhook that restarts, too: the server calls it in vain and answers 500.
        return Unreachable(given, "", "Run the push step again later.")
    if code in (401, 403):
        return DeliveryError(given, *NO_ACCESS)
    if code == 404 and not details.get("kind"):
        return DeliveryError(
            f"The cluster knows no {kind}.",
            f"{PARTS.get(kind, 'What defines it')} must be installed.",
            "Install it, then run the push step again.",
        )
    return DeliveryError(
        given,
        "What the message names must be mended.",
        "Correct project.yaml or the cluster, then run the push step again.",
    )


def _is_right_missing(code: int, status: Mapping[str, Any]) -> bool:
    """Whether the account lacks the right: what quotas and admission policies refuse is 403, too."""
    said = str(status.get("message"))
    return code == 401 or (code == 403 and 'User "' in said and " cannot " in said)


def _not_read(error: ClusterError) -> DeliveryError:
    """What reading was refused for: no answer, or no right to it."""
    advice = (error.allowed, error.next_step) if isinstance(error, Unreachable) else NO_ACCESS
    return DeliveryError(error.given, *advice)


def _conflict(kind: str, name: str, causes: list[Object]) -> DeliveryError:
    managers = sorted({m for c in causes for m in re.findall(r'conflict with "([^"]+)"', c["message"])})
    fields = ", ".join(sorted({c.get("field", "?").lstrip(".") for c in causes}))
    return DeliveryError(
        f"{kind} {name} was changed by {' and '.join(managers) or 'another manager'}: {fields}.",
        "Lockgate writes over nobody else's fields.",
        "Make them let go of it, or take it back with `kubectl apply --server-side --field-manager=lockgate "
        "--force-conflicts`; then run the push step again.",
    )


def _status(error: Any) -> Object:
    try:
        found = json.loads(error.body or "{}")
    except ValueError:
        return {"message": str(error.reason)}
    return found if isinstance(found, dict) else {}
