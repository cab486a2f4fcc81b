"""A namespace that holds all of manifests/base, and the kinds that a cluster may lack."""

import uuid
from collections.abc import Iterator

import pytest

from components.cluster import indexed_job
from tests.cluster.conftest import SHARED
from tests.cluster.kube import Kubectl, wait_for
from tests.cluster.manifests.definitions import defined
from tests.cluster.manifests.objects import Object, is_taken, moved, revision, work
from tests.manifests.built import CLUSTER_WIDE


@pytest.fixture(scope="module")
def place(kubectl: Kubectl, base: list[Object]) -> Iterator[str]:
    """All of manifests/base but the controller itself, in a namespace of its own, its policies included."""
    name = f"lockgate-{uuid.uuid4().hex[:6]}"
    objects = [moved(o, name) for o in base if o["kind"] not in (*SHARED, "Deployment")]
    try:
        kubectl.apply(*(o for o in objects if o["kind"] == "Namespace"))
        kubectl.apply(*(o for o in objects if o["kind"] != "Namespace"))
        lent = indexed_job.render(work(namespace=name))
        lent["spec"]["template"]["spec"]["serviceAccountName"] = "default"
        wait_for(lambda: not is_taken(kubectl, lent), 60, "the policy on Jobs")
        other = revision(name).service
        other["spec"]["predictor"]["serviceAccountName"] = "default"
        wait_for(lambda: not is_taken(kubectl, other), 60, "the policy on models")
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
