"""What a Kubeflow Pipelines API refuses, or that it does not answer, as sentences; and the token it wants."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kfp_server_api as api
import urllib3

from lockgate.errors import ClusterError

BEARER_VARIABLE = "KFP_TOKEN"
# Where a pod has the token that is made for this API: by variable, else where KFP's own client looks.
BEARER_FILE_VARIABLE = "KF_PIPELINES_SA_TOKEN_PATH"
BEARER_FILE = "/var/run/secrets/kubeflow/pipelines/token"
BAD_CERTIFICATE = 495


class EndpointError(ClusterError):
    """The API did not do what it was asked. `status` is HTTP's, 0 where there was no answer."""

    def __init__(self, status: int, given: str, allowed: str = "", next_step: str = "") -> None:
        super().__init__(given, allowed, next_step)
        self.status = status

    @property
    def may_pass(self) -> bool:
        """Whether the same request may well succeed a little later."""
        return self.status in (0, 408, 429) or self.status >= 500


def token() -> str | None:
    """The bearer token: KFP_TOKEN, else the pod's token for this API, else none. Tokens expire: ask anew."""
    if given := os.environ.get(BEARER_VARIABLE):
        return given.strip()
    file = Path(os.environ.get(BEARER_FILE_VARIABLE) or BEARER_FILE)
    return file.read_text(encoding="utf-8").strip() if file.is_file() else None


@contextlib.contextmanager
def explained(url: str, namespace: str) -> Iterator[None]:
    """Turns what a request to the API at `url` may meet into sentences that say what to do.

    Raises:
        EndpointError: it was refused, or there was no answer.
    """
    try:
        yield
    except api.ApiException as error:
        raise _refusal(url, namespace, int(error.status or 0), _reason(error)) from None
    except urllib3.exceptions.HTTPError as error:
        raise _no_answer(url, error) from None


def parsed(text: Any) -> Any:
    """An answer's JSON; None where it is none."""
    try:
        return json.loads(text or "")
    except ValueError:
        return None


def _no_answer(url: str, error: Exception) -> EndpointError:
    cause = getattr(error, "reason", None) or error
    if isinstance(cause, urllib3.exceptions.SSLError):
        return EndpointError(
            BAD_CERTIFICATE,
            f"{url} shows a certificate that cannot be checked: {cause}.",
            "It must be signed by an authority that this machine knows.",
            "Name the authority's certificate in SSL_CERT_FILE.",
        )
    # urllib3's words begin with an object's address.
    return EndpointError(
        0,
        f"Nothing answers at {url}: {str(cause).rpartition(': ')[2].rstrip('.')}.",
        "The Kubeflow Pipelines API must be reachable from here.",
        "Forward it, such as `kubectl -n kubeflow port-forward svc/ml-pipeline 8888:8888`, and give"
        " `--endpoint http://127.0.0.1:8888`.",
    )


def _refusal(url: str, namespace: str, status: int, reason: str) -> EndpointError:
    if status in (401, 403) or 300 <= status < 400:
        had = "with the token that it was given" if token() else "and no token was given"
        what = "refuses" if status == 403 else "asks to log in"
        return EndpointError(
            status,
            f"{url} {what} ({status}), {had}: {reason}.",
            f"A token comes from {BEARER_VARIABLE}, or in a pod from {BEARER_FILE}.",
            f"Set one that has not expired, of someone who may use pipelines in the namespace {namespace!r}.",
        )
    if status in (404, 501):
        return EndpointError(
            status,
            f"{url} does not know what was asked ({status}): {reason}.",
            "Lockgate speaks the API v2beta1 of Kubeflow Pipelines 2.",
            "Give the address before /apis; in Kubeflow that is https://HOST/pipeline.",
        )
    if EndpointError(status, "").may_pass:
        return EndpointError(
            status, f"{url} failed ({status}): {reason}.", "", "See the log of the Deployment ml-pipeline."
        )
    return EndpointError(status, f"{url} refused the request ({status}): {reason}.")


def _reason(error: api.ApiException) -> str:
    """What the API says in its answer, else HTTP's own words."""
    answer = parsed(error.body)
    said = answer.get("message") or answer.get("error") if isinstance(answer, dict) else None
    return str(said or error.reason or "no reason given").strip().rstrip(".")
