"""What the tests on a real cluster share: a namespace, a bucket, kubectl, the gateway.

KUBECONFIG chooses the cluster, STORAGE_EMULATOR_HOST names a GCS emulator that the pods reach too.
`make test-cluster` runs them.
"""

import copy
import json
import os
import re
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.kube import Kubectl

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
TAG = os.environ.get("LOCKGATE_TEST_TAG", "dev")
IMAGE = re.compile(r"(docker\.io/lockgate/[a-z]+):[\w.-]+")
SHARED = (
    "CustomResourceDefinition",
    "ClusterTrainingRuntime",
    "ClusterServingRuntime",
    "ClusterStorageContainer",
    "ClusterRole",
)
OWN = ("ServiceAccount", "Role", "RoleBinding", "ClusterRoleBinding")
TEST_LABEL = "lockgate.dev/test"
SESSION = uuid.uuid4().hex[:8]
RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder is a cluster test, and has more time: pods start on two busy cores."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def kubectl() -> Kubectl:
    """kubectl on the cluster of KUBECONFIG; skips where no cluster answers."""
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("KUBECONFIG names no cluster; `make up` makes one")
    command = Kubectl()
    try:
        command("get", "--raw", "/readyz", "--request-timeout=5s")
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no cluster answers at {os.environ['KUBECONFIG']}: {error}")
    return command


@pytest.fixture(scope="session")
def base(kubectl: Kubectl) -> Iterator[list[dict[str, Any]]]:
    """The objects of manifests/base with the images that were built for tests.

    The cluster-wide ones are applied, and gone after the session, unless others test on the same cluster:
    they have namespaces of theirs, or LOCKGATE_TEST_KEEP=1 says so. One where Lockgate is deployed has them
    already, and they are not a test's to change.
    """
    text = kubectl("kustomize", str(ROOT / "manifests" / "base"))
    objects = list(yaml.safe_load_all(IMAGE.sub(rf"\1:{TAG}", text)))
    shared = [o for o in objects if o["kind"] in SHARED]
    for thing in shared:
        thing["metadata"].setdefault("labels", {})[TEST_LABEL] = "session"
        if thing["kind"] == "ClusterStorageContainer" and (host := os.environ.get("STORAGE_EMULATOR_HOST")):
            thing["spec"]["container"]["env"] = [{"name": "STORAGE_EMULATOR_HOST", "value": host}]
        found = kubectl("get", thing["kind"], thing["metadata"]["name"], "--ignore-not-found", "-o", "json")
        if found and TEST_LABEL not in json.loads(found)["metadata"].get("labels", {}):
            pytest.fail("Lockgate is deployed on this cluster; its tests need one where it is not.")
    kubectl.apply(*shared)
    kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd/modelrollouts.lockgate.dev")
    try:
        yield objects
    finally:
        found = kubectl.get("namespaces", labels=f"{TEST_LABEL},{TEST_LABEL}!={SESSION}")["items"]
        others = [there for there in found if there["status"]["phase"] == "Active"]
        for thing in () if others or os.environ.get("LOCKGATE_TEST_KEEP") == "1" else shared:
            kubectl("delete", thing["kind"], thing["metadata"]["name"], "--ignore-not-found")


@pytest.fixture(scope="module")
def namespace(kubectl: Kubectl, base: list[dict[str, Any]]) -> Iterator[str]:
    """A namespace of its own for a module."""
    with own_namespace(kubectl, base) as name:
        yield name


@contextmanager
def own_namespace(kubectl: Kubectl, base: list[dict[str, Any]]) -> Iterator[str]:
    """A namespace under Pod Security `restricted` with the roles of manifests/base, gone afterwards."""
    name = f"lockgate-{uuid.uuid4().hex[:6]}"
    kubectl("create", "namespace", name)
    try:
        kubectl("label", "namespace", name, RESTRICTED, f"{TEST_LABEL}={SESSION}")
        kubectl.apply(*(moved(o, name) for o in base if o["kind"] in OWN))
        yield name
    finally:
        kubectl("delete", "namespace", name, "--wait=false")
        kubectl("delete", "clusterrolebinding", "--ignore-not-found", "-l", f"{TEST_LABEL}={name}")


def moved(original: dict[str, Any], namespace: str) -> dict[str, Any]:
    """The same object for another namespace; a binding over the whole cluster gets a name of its own."""
    changed = copy.deepcopy(original)
    if original["kind"] == "ClusterRoleBinding":
        changed["metadata"]["name"] += f"-{namespace}"
        changed["metadata"]["labels"][TEST_LABEL] = namespace
    else:
        changed["metadata"]["namespace"] = namespace
    for subject in changed.get("subjects", ()):
        subject["namespace"] = namespace
    return changed


@pytest.fixture(scope="session")
def emulator() -> str:
    """The address of the GCS emulator, for this process and for pods."""
    address = os.environ.get("STORAGE_EMULATOR_HOST")
    if not address:
        pytest.skip("no emulator at STORAGE_EMULATOR_HOST")
    return address


@pytest.fixture(scope="module")
def bucket(emulator: str) -> str:
    """An empty bucket on the emulator: gs://…"""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage  # noqa: TID251 - makes the bucket that Lockgate is given

    client = storage.Client(project="emulated", credentials=AnonymousCredentials())
    return f"gs://{client.create_bucket(f'lockgate-{uuid.uuid4().hex[:8]}').name}"


@pytest.fixture(scope="session")
def gateway(kubectl: Kubectl) -> str:
    """The URL of KServe's gateway, which chooses the route by the Host header."""
    if given := os.environ.get("LOCKGATE_TEST_GATEWAY"):
        return given
    found = kubectl.get("gateway", "kserve-ingress-gateway", namespace="kserve")
    port = found["spec"]["listeners"][0]["port"]
    return f"http://{found['status']['addresses'][0]['value']}:{port}"
