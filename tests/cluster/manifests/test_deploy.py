"""make deploy and make status on a real cluster."""

import os
import subprocess
import sys

import pytest
import yaml

from components.cluster import trainjob
from tests.cluster.conftest import SHARED, TAG
from tests.cluster.kube import Kubectl, wait_for
from tests.cluster.manifests.objects import revision, work
from tests.manifests.built import CLUSTER_WIDE, MANIFESTS, ROOT, build


def status(namespace: str) -> str:
    command = [sys.executable, "-m", "components.cluster.status", namespace]
    environment = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def deployed(kubectl: Kubectl, name: str, namespace: str) -> str:
    return kubectl("get", name, "-n", namespace, "--ignore-not-found", "--output=name")


def test_status_shows_models_jobs_and_verdicts(kubectl, place):
    empty = status(place)
    assert "none is served" in empty
    assert "no job" in empty
    made = revision(place)
    kubectl.apply(made.service, made.route)
    job = trainjob.render(work(namespace=place))
    job["spec"]["suspend"] = True
    kubectl.apply(job)
    deployment = f"deployment/{made.name}-predictor"
    wait_for(lambda: deployed(kubectl, deployment, place), 60, deployment)
    shown = [line.split() for line in status(place).splitlines()]
    (row,) = [line for line in shown if line[1:2] == [made.name] and "%" in line]
    assert row[:8] == ["flights", made.name, "100", "%", "0", "of", "1", made.digest[:12]]
    (row,) = [line for line in shown if "flights-1" in line]
    assert row[2] == "2"
    assert " ".join(row).endswith("waits in its queue")
    assert any("model gate open: 3 of 3 checks passed" in " ".join(line) for line in shown)


def test_deploy_shows_what_changes_and_then_changes_nothing(kubectl, base, emulator, tmp_path):
    if kubectl("get", "namespace", "lockgate", "--ignore-not-found"):
        pytest.skip("the cluster has a namespace lockgate; this test wants to make it, and to remove it")
    overlay_folder = tmp_path / "overlay"
    overlay_folder.mkdir()
    names = ("runtime", "trainer", "controller")
    content = {
        "resources": [os.path.relpath(MANIFESTS / "overlays" / "local", overlay_folder)],
        "images": [{"name": f"docker.io/lockgate/{name}", "newTag": TAG} for name in names],
        # The emulator of this cluster: other tests go on using the object.
        "patches": [
            {
                "target": {"kind": "ClusterStorageContainer"},
                "patch": yaml.safe_dump(
                    [{"op": "replace", "path": "/spec/container/env/0/value", "value": emulator}]
                ),
            }
        ],
    }
    (overlay_folder / "kustomization.yaml").write_text(yaml.safe_dump(content))
    try:
        # The manager is the one that this session's runtimes were applied by, so that they stay its own.
        command = [MANIFESTS / "deploy", overlay_folder, "--field-manager=kubectl"]
        first = subprocess.run(command, capture_output=True, text=True, check=False)
        assert first.returncode == 0, first.stderr
        assert f"applied: {len(build(overlay_folder))} objects" in first.stdout
        second = subprocess.run(command, capture_output=True, text=True, check=False)
        assert second.returncode == 0, second.stderr
        assert "what changes:\n  nothing" in second.stdout
        kubectl("delete", "role", "lockgate-push", "-n", "lockgate")
        third = subprocess.run(command, capture_output=True, text=True, check=False)
        assert third.returncode == 0, third.stderr
        assert "+kind: Role" in third.stdout
        assert kubectl("get", "role", "lockgate-push", "-n", "lockgate", "--output=name")
        labels = kubectl.get("namespace", "lockgate")["metadata"]["labels"]
        assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
        assert "Lockgate 0." in status("lockgate")
    finally:
        made = [o for o in build(overlay_folder) if o["kind"] in CLUSTER_WIDE and o["kind"] not in SHARED]
        for thing in made:
            kubectl(
                "delete", thing["kind"], thing["metadata"]["name"], "--ignore-not-found", "--timeout=120s"
            )


def test_deploy_keeps_away_from_a_namespace_that_is_not_its_own(kubectl):
    if kubectl("get", "namespace", "lockgate", "--ignore-not-found"):
        pytest.skip(
            "the cluster has a namespace lockgate; this test wants to make one that is somebody else's"
        )
    kubectl("create", "namespace", "lockgate")
    try:
        done = subprocess.run([MANIFESTS / "deploy"], capture_output=True, text=True, check=False)
        assert done.returncode == 10
        assert "a namespace lockgate that is not Lockgate's" in done.stderr
        assert not kubectl("get", "role", "-n", "lockgate", "--output=name")
    finally:
        kubectl("delete", "namespace", "lockgate", "--timeout=120s")


def test_deploy_names_what_is_not_installed(kubectl, tmp_path):
    content = {
        "resources": [os.path.relpath(MANIFESTS / "overlays" / "local", tmp_path)],
        "components": [os.path.relpath(MANIFESTS / "components" / "queue", tmp_path)],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(content))
    if "clusterqueues" in kubectl("api-resources", "--output=name"):
        pytest.skip("Kueue is installed on this cluster")
    done = subprocess.run([MANIFESTS / "deploy", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 10
    assert "ClusterQueue (kueue.x-k8s.io/v1beta2)" in done.stderr
