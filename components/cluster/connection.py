"""The Kubernetes API as plain requests: dictionaries in, dictionaries out, errors mapped once."""

import json
import time
from collections.abc import Mapping
from typing import Any, Self

from lockgate.errors import ClusterError

TIMEOUT = 30.0
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
ATTEMPTS = 4
PAUSE = 1.0
# Who the API server says has written an object.
FIELD_MANAGER = "lockgate"

Object = dict[str, Any]


class Absent(ClusterError):
    """There is no such object, or no such kind of objects."""


class Taken(ClusterError):
    """An object of this name is there already."""


class Changed(ClusterError):
    """The object is no longer of the resourceVersion that the patch names."""


class Forbidden(ClusterError):
    """The account may not do this."""


class Unreachable(ClusterError):
    """The API does not answer at present; asking later may help."""


class Api:
    """Requests to one cluster.

    Args:
        client: a `kubernetes.client.ApiClient` with its credentials.
        seconds: how long one answer may take.
        attempts: how often an API that does not answer is asked.
    """

    def __init__(self, client: Any, *, seconds: float = TIMEOUT, attempts: int = ATTEMPTS) -> None:
        self._client, self._attempts = client, attempts
        # To connect, and to answer. Of a single number that is no int the client would take no notice.
        self._limits = (seconds, seconds)

    @classmethod
    def connect(cls, *, seconds: float = TIMEOUT, attempts: int = ATTEMPTS) -> Self:
        """The cluster that this pod runs in, or the one that KUBECONFIG names; arguments as of the class.

        Raises:
            ClusterError: neither is there.
        """
        from kubernetes import client, config  # type: ignore[import-untyped,unused-ignore]

        try:
            try:
                config.load_incluster_config()
            except config.ConfigException:
                config.load_kube_config()
        except config.ConfigException as error:
            raise ClusterError(
                f"There is no cluster to talk to: {error}",
                "In a pod its service account is used, elsewhere KUBECONFIG.",
                "Set KUBECONFIG.",
            ) from None
        connected = client.ApiClient()
        _verify_as_kubernetes_does(connected)
        # Asking again is done here, or by the caller; urllib3 would multiply it, and the time it takes.
        connected.rest_client.pool_manager.connection_pool_kw["retries"] = False
        return cls(connected, seconds=seconds, attempts=attempts)

    def get(self, path: str, **query: str) -> Object:
        """Reads an object or a list.

        Raises:
            Absent: there is none.
            ClusterError: the API refuses, or does not answer.
        """
        return self._retried("GET", path, query)

    def create(self, path: str, body: Mapping[str, Any]) -> Object:
        """Makes an object.

        Raises:
            Taken: one of that name is there.
            Absent: the cluster has no such kind of objects, or no such namespace.
            ClusterError: the API refuses, or does not answer.
        """
        return self._retried("POST", path, {}, body)

    def patch(self, path: str, patch: Any, kind: str = MERGE_PATCH) -> Object:
        """Changes an object; asked again where the API did not answer, so the patch must bear it.

        Args:
            path: of the object.
            patch: a map for MERGE_PATCH, a list of operations for JSON_PATCH.
            kind: of the patch.

        Raises:
            Changed: the patch names a resourceVersion, and the object has changed since.
            Absent: there is none.
            ClusterError: the API refuses, or does not answer.
        """
        return self._retried("PATCH", path, {"fieldManager": FIELD_MANAGER}, patch, kind)

    def delete(self, path: str) -> None:
        """Deletes an object, then what it owns; that there is none is success.

        Not what it owns first: Kubeflow Trainer (2.3.0) would make the JobSet that it has just lost again, as
        long as the TrainJob is there.
        """
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        try:
            self._retried("DELETE", path, {}, options)
        except Absent:
            return

    def text(self, path: str, **query: str) -> str:
        """Reads text, such as a container's log; raises as `get`."""
        return self._request("GET", path, query).decode("utf-8", "replace")

    def _retried(
        self, method: str, path: str, query: Mapping[str, str], body: Any = None, content: str = JSON
    ) -> Object:
        for attempt in range(self._attempts):
            try:
                found: Object = json.loads(self._request(method, path, query, body, content))
            except Unreachable:
                if attempt + 1 == self._attempts:
                    raise
                time.sleep(PAUSE * 2**attempt)
            else:
                return found
        raise AssertionError("the last attempt returns or raises")

    def _request(
        self, method: str, path: str, query: Mapping[str, str], body: Any = None, content: str = JSON
    ) -> bytes:
        from kubernetes.client.exceptions import ApiException  # type: ignore[import-untyped,unused-ignore]
        from urllib3.exceptions import HTTPError

        headers = {"Accept": "*/*", "Content-Type": content}
        try:
            answer, _, _ = self._client.call_api(
                path,
                method,
                query_params=list(query.items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=self._limits,
            )
            data: bytes = answer.data
        except ApiException as error:
            raise _refusal(method, path, error.status, _message(error.body) or error.reason) from None
        except HTTPError as error:
            raise Unreachable(
                f"The Kubernetes API does not answer: {error}.", "", "Check the cluster and the network."
            ) from None
        return data


def _verify_as_kubernetes_does(connected: Any) -> None:
    """Verifies the API's certificate without the formal rules that Python 3.13 added.

    Many clusters' own authorities lack extensions that those rules ask for, and kubectl does not.
    """
    import ssl

    from urllib3.util.ssl_ import create_urllib3_context

    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    connected.rest_client.pool_manager.connection_pool_kw["ssl_context"] = context


def _refusal(method: str, path: str, status: int, message: str) -> ClusterError:
    given = f"Kubernetes answers {method} {path} with {status}: {message}"
    match status:
        case 404:
            return Absent(given, "", "Check the namespace, and what is installed on the cluster.")
        case 409 if method == "POST":
            return Taken(given)
        case 409 if method == "PATCH":
            return Changed(given, "It must stay as it was read until it is written.", "Try again.")
        case 401 | 403:
            return Forbidden(
                given,
                "A step's service account needs the rights that manifests/ gives to lockgate-pipeline.",
                "Apply the manifests, or bind the role lockgate-pipeline to the step's service account.",
            )
        case _ if status == 429 or status >= 500:
            return Unreachable(given, "", "Try again later.")
        case _:
            return ClusterError(given)


def _message(body: Any) -> str:
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text.strip()
