"""One namespace, one stable model, one stream of requests and one controller for all tests of rollouts."""

import json
import os
import socket
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.cluster.connection import Api
from lockgate.rollout.status import ACTIVE
from serving.controller.cluster.wishes import ModelRollouts
from tests.cluster.conftest import own_namespace
from tests.cluster.kube import Kubectl, wait_for
from tests.cluster.penguins import MODEL, PREDICT, bodies
from tests.cluster.rollout.controlled import Controller, kubeconfig
from tests.cluster.rollout.models import FAULTS, corrupt, good, spoiled
from tests.cluster.rollout.noted import Noted, noted_of
from tests.cluster.rollout.scene import POD_SECONDS, ROLLOUT_SECONDS, WISHES, Scene
from tests.cluster.rollout.traffic import Traffic
from tests.cluster.served import place, trained


@pytest.fixture(scope="package")
def folder() -> Iterator[Path]:
    """For models and logs. The controller's user may look into it, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="lockgate-rollout-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture(scope="package")
def bad(folder: Path) -> dict[str, Path]:
    """A model for each fault."""
    return {**spoiled(trained(), folder, FAULTS), "corrupt": corrupt(trained(), folder)}


@pytest.fixture(scope="package")
def scene(kubectl: Kubectl, base: list[dict[str, Any]], gateway: str, folder: Path) -> Iterator[Scene]:
    """A model that was pushed directly, and requests to it; the first push by rollout adopts it."""
    models = good(trained(), folder, 1), good(trained(), folder, 2)
    with own_namespace(kubectl, base) as namespace:
        yield from _played(kubectl, namespace, gateway, folder, models)


def _played(
    kubectl: Kubectl, namespace: str, gateway: str, folder: Path, models: tuple[Path, Path]
) -> Iterator[Scene]:
    there = place(kubectl, namespace, bucket(), gateway)
    there.push(models[0], replicas=1)
    config = kubeconfig(kubectl, namespace, folder / "kubeconfig.json")
    controller = Controller(namespace, config, folder / "controller.log", free_port())
    host = f"{MODEL}.{namespace}.models"
    with Traffic(f"{gateway}{PREDICT}", host, bodies(500)) as traffic:
        made = Scene(
            kubectl, there, ModelRollouts(Api.connect(), namespace), controller, traffic, models, {models[0]}
        )
        wait_for(lambda: traffic.sent > 2 * traffic.rate, 30, "two seconds of requests")
        try:
            yield made
        finally:
            controller.stop()
    print(f"\n{traffic.sent} requests in all, at most {traffic.late:.2f} s late; log {controller.log}")


@pytest.fixture(autouse=True)
def noted(scene: Scene) -> Iterator[Noted]:
    """Each test begins and ends with one revision that has all of the traffic, and a controller."""
    if not scene.controller.is_running:
        scene.controller.start()
    with noted_of(scene) as made:
        yield made
    if not scene.controller.is_running:
        scene.controller.start()
    if scene.exists:
        scene.patch({
            "metadata": {"annotations": {f"lockgate.dev/{wish}": None for wish in WISHES}},
            "spec": {"candidate": None, "paused": False},
        })  # fmt: skip
        scene.until(lambda s: s.stage not in {*ACTIVE, "installing"}, POD_SECONDS, "the end of the test")
        stable = scene.status.stable_revision
        wait_for(
            lambda: scene.route() == {stable: 100}, ROLLOUT_SECONDS, "all traffic at the stable revision"
        )


def bucket() -> str:
    """A bucket of these tests on the emulator: gs://…"""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage  # noqa: TID251 - makes the bucket that Lockgate is given

    if not os.environ.get("STORAGE_EMULATOR_HOST"):
        pytest.skip("no emulator at STORAGE_EMULATOR_HOST")
    client = storage.Client(project="emulated", credentials=AnonymousCredentials())
    return f"gs://{client.create_bucket(f'lockgate-{uuid.uuid4().hex[:8]}').name}"


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as given:
        given.bind(("127.0.0.1", 0))
        return int(given.getsockname()[1])


@pytest.fixture(scope="package")
def pods(kubectl: Kubectl) -> str:
    """The addresses of the node's pods, such as 10.244.0.0/24."""
    nodes = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    found = [node["spec"].get("podCIDR") for node in nodes]
    if len(found) != 1 or not found[0]:
        pytest.skip("the pods are not on this machine alone")
    return found[0]
