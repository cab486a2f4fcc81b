"""Pushes on a real API server, with the rights of the push step alone: what changes, and what stays."""

import json
import subprocess
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.cluster.delivery import ClusterDelivery
from components.cluster.git import GitDelivery
from lockgate.errors import DeliveryError
from lockgate.shipping.manifest import routed
from lockgate.steps.step import Settings
from tests.cluster.conftest import TAG
from tests.cluster.kube import Kubectl, wait_for
from tests.cluster.load import Load
from tests.cluster.served import Place, as_account, place, trained, upload, variant

RATE = 50.0
# What the push step does with its settings, after the folder is in the bucket.
DELIVER = """
import sys
from components.cluster.ports import ports
from lockgate.shipping.folder import Example
from lockgate.shipping.record import ModelCard
from lockgate.shipping.revision import revision_of
from lockgate.steps.step import Settings
from lockgate.storage import store_at

settings, store, digest = sys.argv[1:]
folder = store_at(f"{store}/{digest}")
card = ModelCard.model_validate_json(folder.read("card.json"))
row = Example.model_validate_json(folder.read("example.json")).row
project = Settings.model_validate_json(settings).project
print(ports(settings).delivery.deliver(revision_of(card, project, store, row)))
"""
KINDS = "inferenceservices,deployments,replicasets,services,httproutes"


@pytest.fixture(scope="module")
def first() -> Path:
    """A model's folder on this machine."""
    return trained()


@pytest.fixture(scope="module")
def second(first: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another model of the same name."""
    return variant(first, tmp_path_factory.mktemp("second"), 0.3)


@pytest.fixture(scope="module")
def there(kubectl: Kubectl, namespace: str, bucket: str, gateway: str, first: Path) -> Place:
    """The namespace with the first model pushed."""
    made = place(kubectl, namespace, bucket, gateway)
    assert "serves penguins." in made.push(first)
    return made


def versions(kubectl: Kubectl, namespace: str) -> dict[tuple[str, str], tuple[str, int | None]]:
    """What changes when anybody writes to an object, of every object of the model."""
    found = kubectl.get(KINDS, namespace=namespace)["items"]
    return {
        (o["kind"], o["metadata"]["name"]): (
            o["metadata"]["resourceVersion"], o["metadata"].get("generation"),
        )
        for o in found
    }  # fmt: skip


def route(kubectl: Kubectl, namespace: str) -> dict[str, Any]:
    return kubectl.get("httproute", "penguins", namespace=namespace)


def test_the_objects_are_ours_by_server_side_apply(kubectl: Kubectl, there: Place, first: Path) -> None:
    made = there.revision(first)
    for kind, name in (("inferenceservice", made.name), ("httproute", "penguins")):
        found = kubectl("get", kind, name, "-n", there.namespace, "-o", "json", "--show-managed-fields")
        assert '"manager": "lockgate",\n                "operation": "Apply"' in found
    service = kubectl.get("inferenceservice", made.name, namespace=there.namespace)
    annotations = service["metadata"]["annotations"]
    assert annotations["lockgate.dev/digest"] == first.name
    assert "accuracy" in annotations["lockgate.dev/metrics"]
    assert "serving gate open" in annotations["lockgate.dev/verdicts"]


def test_a_second_push_of_the_same_digest_changes_nothing(
    kubectl: Kubectl, there: Place, first: Path
) -> None:
    before = versions(kubectl, there.namespace)
    assert {kind for kind, _ in before} == {
        "InferenceService", "Deployment", "ReplicaSet", "Service", "HTTPRoute",
    }  # fmt: skip
    assert there.push(first).endswith("with 2 pods, as before")
    assert versions(kubectl, there.namespace) == before


def test_another_manager_of_the_route_is_named_and_not_overruled(
    kubectl: Kubectl, there: Place, first: Path, second: Path
) -> None:
    spec = route(kubectl, there.namespace)["spec"]
    for rule in spec["rules"]:
        rule["backendRefs"][0]["weight"] = 70
    theirs = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "penguins", "namespace": there.namespace},
        "spec": {"rules": spec["rules"]},
    }
    kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=somebody", "-f", "-",
            stdin=json.dumps(theirs))  # fmt: skip
    before = versions(kubectl, there.namespace)
    with pytest.raises(DeliveryError, match=r"HTTPRoute penguins was changed by somebody: spec\.rules"):
        there.push(second)
    assert versions(kubectl, there.namespace) == before, "no pods were made for a route that cannot move"
    # They let go of it; it is ours again at the next push.
    del theirs["spec"]
    kubectl("apply", "--server-side", "--field-manager=somebody", "-f", "-", stdin=json.dumps(theirs))
    there.push(first)
    assert {
        b["weight"] for r in route(kubectl, there.namespace)["spec"]["rules"] for b in r["backendRefs"]
    } == {100}


def test_a_push_under_load_moves_all_traffic_and_loses_no_request(
    kubectl: Kubectl, there: Place, first: Path, second: Path
) -> None:
    old, new = there.revision(first), there.revision(second)
    body = {"instances": [dict(new.row)]}
    with Load(f"{there.gateway}/v1/models/penguins:predict", new.host, body, RATE) as load:
        wait_for(lambda: load.sent > RATE, 30, "a second of load")
        said = there.push(second)
        moved = load.sent
        wait_for(lambda: load.sent > moved + 5 * RATE, 60, "five seconds of load after the move")
    print(f"{load.sent} requests in {load.seconds:.0f} s, slowest {load.slowest:.2f} s, lost {load.lost()}")
    assert load.lost() == {}
    assert load.sent >= 0.95 * RATE * load.seconds
    assert said == f"revision {new.name} serves {new.host} with 2 pods"
    assert routed(route(kubectl, there.namespace)) == (new.name,)
    kept = kubectl.get("deployment", f"{old.name}-predictor", namespace=there.namespace)
    assert kept["status"]["readyReplicas"] == 2, "the way back stays open"


def test_the_way_back_is_one_write_and_the_next_push_goes_on_from_there(
    kubectl: Kubectl, there: Place, first: Path, second: Path
) -> None:
    """As docs/serving-on-a-cluster.md says: the route's other revision, under the push step's manager."""
    there.push(second)
    old, new = there.revision(first).name, there.revision(second).name
    written = kubectl("get", "httproute", "penguins", "-n", there.namespace, "-o", "yaml")
    kubectl("apply", "--server-side", "--field-manager=lockgate", "-f", "-",
            stdin=written.replace(f"{new}-", f"{old}-"))  # fmt: skip
    assert routed(route(kubectl, there.namespace)) == (old,)
    there.push(second)
    assert routed(route(kubectl, there.namespace)) == (new,)


def test_an_earlier_model_may_be_pushed_again_and_idle_revisions_are_named(
    kubectl: Kubectl, there: Place, first: Path, second: Path, tmp_path: Path
) -> None:
    there.push(second)
    there.push(first)
    assert routed(route(kubectl, there.namespace)) == (there.revision(first).name,)
    third = variant(first, tmp_path, 0.7)
    said = there.push(third, replicas=1)
    assert said.endswith(f"without traffic, to be deleted when you like: {there.revision(second).name}")


def test_the_step_delivers_from_its_own_pod_with_its_own_account(
    kubectl: Kubectl, there: Place, first: Path, tmp_path: Path, emulator: str
) -> None:
    model = variant(first, tmp_path, 0.6)
    upload(model, there.store)
    settings = Settings(project=there.project(replicas=1), version="test").model_dump_json()
    container = {
        "name": "main",
        "image": f"docker.io/lockgate/pipeline:{TAG}",
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", DELIVER, settings, there.store, model.name],
        "env": [{"name": "STORAGE_EMULATOR_HOST", "value": emulator}],
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "push", "namespace": there.namespace},
        "spec": {
            "restartPolicy": "Never",
            "serviceAccountName": "lockgate-push",
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }
    kubectl.apply(pod)

    def ended() -> str:
        phase = kubectl.get("pod", "push", namespace=there.namespace)["status"]["phase"]
        return phase if phase in ("Succeeded", "Failed") else ""

    phase = wait_for(ended, 300, "the end of the push")
    said = kubectl("logs", "push", "-n", there.namespace)
    assert phase == "Succeeded", said
    name = there.revision(model).name
    assert f"revision {name} serves penguins.{there.namespace}.models with 1 pods" in said
    assert routed(route(kubectl, there.namespace)) == (name,)


def test_of_two_pushes_at_once_the_slower_takes_nothing_back(
    kubectl: Kubectl, there: Place, first: Path, second: Path, tmp_path: Path
) -> None:
    """While a third model's pods start, the second gets the traffic."""
    there.push(first)
    third = variant(first, tmp_path, 0.9)
    ended: list[str] = []

    def push_third() -> None:
        with pytest.raises(DeliveryError) as refused:
            there.push(third, replicas=1)
        ended.append(refused.value.given)

    slower = threading.Thread(target=push_third)
    slower.start()
    slow = there.revision(third).name
    wait_for(lambda: slow in kubectl("get", "inferenceservices", "-n", there.namespace), 60, slow)
    there.objects.apply(there.revision(second).route)
    slower.join()
    new = there.revision(second).name
    assert ended == [f"While revision {slow} started, another push gave the traffic to {new}."]
    assert routed(route(kubectl, there.namespace)) == (new,)


def test_a_revision_is_never_changed_into_another_model(kubectl: Kubectl, there: Place, second: Path) -> None:
    made = there.revision(second)
    other = made.digest[:8] + "0" * 56
    twin = replace(made, card=made.card.model_copy(update={"content": other}))
    with pytest.raises(DeliveryError, match=f"is there for another model, of digest {made.digest}"):
        ClusterDelivery(10, there.objects).deliver(twin)


def test_pods_that_cannot_be_made_are_explained_and_the_route_stays(
    kubectl: Kubectl, there: Place, first: Path, tmp_path: Path
) -> None:
    before = routed(route(kubectl, there.namespace))
    large = variant(first, tmp_path, 0.8)
    with pytest.raises(DeliveryError, match=r"after 20 s: pod .* has no node: .*Insufficient cpu"):
        there.push(large, seconds=20, cpu="900", cpu_limit="900", replicas=1)
    assert routed(route(kubectl, there.namespace)) == before
    kubectl("delete", "inferenceservice", there.revision(large).name, "-n", there.namespace)


def test_without_rights_the_role_is_named(kubectl: Kubectl, there: Place, first: Path) -> None:
    nobody = ClusterDelivery(10, as_account(kubectl, there.namespace, "lockgate-serving"))
    with pytest.raises(DeliveryError, match="lockgate-push grants"):
        nobody.deliver(there.revision(first))


def test_what_is_committed_to_git_is_what_kustomize_and_the_server_take(
    kubectl: Kubectl, there: Place, first: Path, second: Path, tmp_path: Path
) -> None:
    """Two revisions and the route, built by kustomize, and taken by the API server and its webhooks."""
    bare, work = tmp_path / "bare.git", tmp_path / "work"
    steps = (
        f"git init -q --bare -b main {bare}",
        f"git clone -q {bare} {work} && cd {work} && git -c user.name=a -c user.email=a@b.c commit -q "
        "--allow-empty -m first && git push -q origin HEAD:main",
    )
    for step in steps:
        subprocess.run(step, shell=True, check=True, capture_output=True)
    for model in (first, second):
        GitDelivery(str(bare), "main", "manifests/models").deliver(there.revision(model))
    subprocess.run(["git", "-C", str(work), "pull", "-q", "origin", "main"], check=True)
    folder = str(work / "manifests" / "models" / "penguins")
    said = kubectl("apply", "-k", folder, "--server-side", "--dry-run=server", "--force-conflicts")
    assert len(said.splitlines()) == 3
    names = (there.revision(first).name, there.revision(second).name)
    assert all(f"inferenceservice.serving.kserve.io/{name} " in said for name in names)
