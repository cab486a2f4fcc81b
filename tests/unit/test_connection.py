"""Requests to an API server that does not answer."""

import socket
import time
from collections.abc import Iterator

import pytest

from components.cluster.apply import Objects
from components.cluster.connection import Unreachable

MADE = {
    "apiVersion": "serving.kserve.io/v1beta1",
    "kind": "InferenceService",
    "metadata": {"name": "a", "namespace": "n"},
}


@pytest.fixture
def silent() -> Iterator[Objects]:
    """A server that takes connections and says nothing, as a stopped one does; asked once, for 0.3 s."""
    from kubernetes import client

    with socket.create_server(("127.0.0.1", 0)) as server:
        given = client.Configuration(host=f"http://127.0.0.1:{server.getsockname()[1]}")
        given.retries = False
        yield Objects(client.ApiClient(given), seconds=0.3, attempts=1)


@pytest.mark.parametrize(
    "ask",
    [
        lambda api: api.get("/api/v1/namespaces/n/configmaps/a"),
        lambda api: api.patch("/api/v1/namespaces/n/configmaps/a", {}),
        lambda api: api.impose(MADE),
    ],
    ids=["get", "patch", "impose"],
)
def test_a_server_that_says_nothing_is_given_up_in_time(silent: Objects, ask) -> None:
    began = time.monotonic()
    with pytest.raises(Unreachable, match="does not answer"):
        ask(silent)
    assert time.monotonic() - began < 5
