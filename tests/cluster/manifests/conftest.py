"""A namespace that holds all of manifests/base, and the kinds that a cluster may lack."""

import uuid
from collections.abc import Iterator

import pytest

from tests.cluster.conftest import SHARED
from tests.cluster.kube import Kubectl
from tests.cluster.manifests.definitions import defined
from tests.cluster.manifests.objects import Object, moved
from tests.manifests.built import CLUSTER_WIDE


@pytest.fixture(scope="package")
def place(kubectl: Kubectl, base: list[Object]) -> Iterator[str]:
    """All of manifests/base in a namespace of its own, its policies over all namespaces included."""
    name = f"lockgate-{uuid.uuid4().hex[:6]}"
    objects = [moved(o, name) for o in base if o["kind"] not in SHARED]
    try:
        kubectl.apply(*(o for o in objects if o["kind"] == "Namespace"))
        kubectl.apply(*(o for o in objects if o["kind"] != "Namespace"))
        for kind in ("jobs", "models"):
            policy = f"validatingadmissionpolicy/lockgate-{kind}-{name}"
            kubectl("wait", policy, "--for=jsonpath={.status.observedGeneration}", "--timeout=60s")
        yield name
    finally:
        for thing in objects:
            if thing["kind"] in CLUSTER_WIDE:
                kubectl(
                    "delete", thing["kind"], thing["metadata"]["name"], "--ignore-not-found", "--wait=false"
                )


@pytest.fixture(scope="module")
def all_kinds(kubectl: Kubectl) -> Iterator[None]:
    """The cluster knows every kind that the manifests hold."""
    with defined(kubectl):
        yield
