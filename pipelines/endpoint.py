"""A Kubeflow Pipelines API, spoken to by its REST client alone."""

import json
import os
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import kfp_server_api as api
import urllib3
from urllib3.util.ssl_ import create_urllib3_context

from lockgate.errors import ClusterError
from pipelines.refusals import BEARER_VARIABLE, EndpointError, explained, parsed, token

ENDPOINT_VARIABLE = "KFP_ENDPOINT"
CONNECT_SECONDS, ANSWER_SECONDS = 10, 60
PAUSES = (0.5, 1.0, 2.0)
PAGE = 100


def address(option: str | None, configured: str | None) -> str:
    """The URL of the API: the option, else KFP_ENDPOINT, else cluster.endpoint of project.yaml.

    Raises:
        ClusterError: none of them is set, or it is no http URL.
    """
    url = (option or os.environ.get(ENDPOINT_VARIABLE) or configured or "").strip().rstrip("/")
    if not url:
        raise ClusterError(
            "No Kubeflow Pipelines endpoint is configured.",
            f"Its URL comes from --endpoint, {ENDPOINT_VARIABLE}, or cluster.endpoint in project.yaml.",
            "Without Kubeflow Pipelines, `lockgate run` runs the same pipeline on this machine.",
        )
    if not url.startswith(("http://", "https://")):
        raise ClusterError(
            f"The endpoint {url!r} is no URL.",
            "It starts with http:// or https://.",
            f"Write https://{url}, or http:// where it is forwarded to this machine.",
        )
    return url


@dataclass
class Endpoint:
    """The API at a URL; `namespace` is used where the installation is shared by several users.

    What may be asked again without harm is asked again after a passing failure, three times at most.
    """

    url: str
    namespace: str
    sleep: Callable[[float], None] = time.sleep
    is_shared: bool = False

    def __post_init__(self) -> None:
        configuration = api.Configuration(host=self.url)
        configuration.api_key_prefix["authorization"] = "Bearer"
        configuration.refresh_api_key_hook = _refresh
        _refresh(configuration)
        configuration.ssl_ca_cert = os.environ.get("SSL_CERT_FILE") or os.environ.get("REQUESTS_CA_BUNDLE")
        # Retries are ours: urllib3 would also repeat what may not be repeated, and log each time.
        configuration.retries = urllib3.Retry(total=0, raise_on_redirect=False, raise_on_status=False)
        self._client = api.ApiClient(configuration)
        _verify_as_go_does(self._client)
        self.runs = api.RunServiceApi(self._client)
        self.experiments = api.ExperimentServiceApi(self._client)
        self.recurring = api.RecurringRunServiceApi(self._client)

    def connect(self) -> "Endpoint":
        """Checks that an API of version v2beta1 answers, and learns whether it is shared by users.

        Raises:
            EndpointError: nothing answers, it asks for a token, or it is no Kubeflow Pipelines API.
        """
        health = self.ask(api.HealthzServiceApi(self._client).healthz_service_get_healthz)
        if not isinstance(parsed(self._client.last_response.data), dict):
            raise EndpointError(
                404,
                f"What answers at {self.url} is no Kubeflow Pipelines API: it sent a page.",
                "The API answers /apis/v2beta1/healthz with JSON.",
                f"Give the API's own address; if it is a login page, set {BEARER_VARIABLE}.",
            )
        self.is_shared = bool(health.multi_user)
        return self

    @property
    def scope(self) -> dict[str, str]:
        """The namespace as an argument; a single-user installation refuses one."""
        return {"namespace": self.namespace} if self.is_shared else {}

    def ask(self, request: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        """Makes a request that changes nothing when made twice.

        Raises:
            EndpointError: it was refused, or failed four times.
        """
        for pause in PAUSES:
            try:
                return self.tell(request, *arguments, **more)
            except EndpointError as error:
                if not error.may_pass:
                    raise
            self.sleep(pause)
        return self.tell(request, *arguments, **more)

    def tell(self, request: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        """Makes a request, once.

        Raises:
            EndpointError: it was refused or failed.
        """
        with explained(self.url, self.namespace):
            return request(*arguments, _request_timeout=(CONNECT_SECONDS, ANSWER_SECONDS), **more)

    def everything(self, request: Callable[..., Any], field: str, **more: Any) -> Iterator[Any]:
        """All items of a list that comes in pages.

        Raises:
            EndpointError: as for `ask`.
        """
        page = ""
        while True:
            answer = self.ask(request, page_size=PAGE, page_token=page, **more)
            yield from getattr(answer, field) or ()
            page = answer.next_page_token or ""
            if not page:
                return

    def named(self, name: str) -> str:
        """A filter for lists: things of exactly this display name."""
        predicate = api.V2beta1Predicate(
            operation=api.V2beta1PredicateOperation.EQUALS, key="display_name", string_value=name
        )
        return json.dumps(self._client.sanitize_for_serialization(api.V2beta1Filter(predicates=[predicate])))

    def create(self, request: Callable[..., Any], body: Any, find: Callable[[], Any]) -> Any:
        """Makes something whose name is new; after a passing failure it first looks whether it was made.

        Args:
            request: the call that creates it.
            body: what to create.
            find: looks for it; None where it is not there.

        Raises:
            EndpointError: it was refused, or failed four times.
        """
        for pause in PAUSES:
            try:
                return self.tell(request, body)
            except EndpointError as error:
                if not error.may_pass:
                    raise
            self.sleep(pause)
            if (found := find()) is not None:
                return found
        return self.tell(request, body)


def _verify_as_go_does(client: api.ApiClient) -> None:
    """Takes authorities without the extensions that Python 3.13 asks for; many in-house ones have none.

    Signatures, names and dates are checked as ever.
    """
    context = create_urllib3_context()
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    client.rest_client.pool_manager.connection_pool_kw["ssl_context"] = context


def _refresh(configuration: api.Configuration) -> None:
    found = token()
    if found:
        configuration.api_key["authorization"] = found
    else:
        configuration.api_key.pop("authorization", None)
