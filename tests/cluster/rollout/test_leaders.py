"""Two controllers, one that only looks on, and the Deployment's own."""

import copy
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import moved
from tests.cluster.kube import Kubectl, wait_for
from tests.cluster.rollout.conftest import free_port
from tests.cluster.rollout.controlled import LEASE_SECONDS, Controller, kubeconfig, metrics
from tests.cluster.rollout.noted import Noted
from tests.cluster.rollout.scene import POD_SECONDS, Scene

DEPLOYMENT = "lockgate-controller"
EVERYTHING = "modelrollouts,inferenceservices,httproutes,configmaps,leases,events"


@pytest.fixture
def another(kubectl: Kubectl, scene: Scene, folder: Path) -> Iterator[Controller]:
    """A second controller of the same namespace, not yet started."""
    config = kubeconfig(kubectl, scene.namespace, folder / "another.json")
    made = Controller(scene.namespace, config, folder / "another.log", free_port())
    yield made
    made.stop()


@pytest.fixture
def deployed(scene: Scene, base: list[dict[str, Any]]) -> Iterator[str]:
    """The controller of manifests/base, as pods; the one on this machine rests meanwhile."""
    scene.controller.stop()
    original = next(o for o in base if o["kind"] == "Deployment" and o["metadata"]["name"] == DEPLOYMENT)
    thing = moved(copy.deepcopy(original), scene.namespace)
    for container in thing["spec"]["template"]["spec"]["containers"]:
        container["resources"]["requests"] = {"cpu": "100m", "memory": "128Mi"}
    scene.kubectl.apply(thing)
    try:
        scene.kubectl(
            "rollout", "status", f"deployment/{DEPLOYMENT}", "-n", scene.namespace, "--timeout=120s"
        )
        yield DEPLOYMENT
    finally:
        print(scene.kubectl("logs", f"deployment/{DEPLOYMENT}", "-n", scene.namespace, "--tail=20"))
        scene.kubectl("delete", "deployment", DEPLOYMENT, "-n", scene.namespace, "--cascade=foreground")


def versions(scene: Scene) -> dict[tuple[str, str], str]:
    """What changes when anybody writes to an object, of every object that a controller might write."""
    found = scene.kubectl.get(EVERYTHING, namespace=scene.namespace)["items"]
    return {
        (o["kind"], o["metadata"]["name"]): o["metadata"]["resourceVersion"]
        for o in found
        if o.get("involvedObject", {}).get("kind") in (None, "ModelRollout")
    }


def test_the_leader_dies_and_the_other_goes_on(scene: Scene, noted: Noted, another: Controller) -> None:
    candidate = scene.push(scene.other())
    scene.at_weight(candidate, 20)
    another.start()
    assert scene.status.stage in ("stepping", "soaking")
    scene.controller.kill()
    killed = time.monotonic()
    before = scene.status.model_dump()
    scene.until(lambda s: s.model_dump() != before, LEASE_SECONDS + 15, "a look of the second controller")
    print(f"the other went on after {time.monotonic() - killed:.1f} s; the lease lasts {LEASE_SECONDS} s")
    status = scene.ended(candidate)
    assert status.history[0].outcome == "Promoted"
    assert noted.requests.lost() == {}


def test_a_dry_run_judges_and_writes_nothing(scene: Scene, noted: Noted, another: Controller) -> None:
    candidate = scene.push(scene.other())
    scene.at_weight(candidate, 20)
    scene.controller.stop()
    before = versions(scene)
    assert {kind for kind, _ in before} >= {
        "ModelRollout",
        "InferenceService",
        "HTTPRoute",
        "ConfigMap",
        "Lease",
    }
    another.start("--dry-run")

    def has_judged() -> bool:
        seen = metrics(another)
        looks = sum(v for k, v in seen.items() if k.startswith("lockgate_controller_looks_total"))
        return looks >= 5 and any(k.startswith("lockgate_rollout_evidence{") for k in seen)

    wait_for(has_judged, 60, "five looks")
    another.stop()
    assert versions(scene) == before
    assert "it would advance: every measure is known to stay within its margin" in another.said()
    print(another.said(5))
    assert noted.requests.lost() == {}


def test_the_deployments_pods_roll_out_with_their_own_account(
    scene: Scene, noted: Noted, deployed: str
) -> None:
    model = scene.other()
    candidate = scene.push(model)
    status = scene.ended(candidate, POD_SECONDS + 120)
    assert (status.stable, status.history[0].outcome) == (model.name, "Promoted")
    assert noted.requests.lost() == {}
