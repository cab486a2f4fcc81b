"""Each image on a node: not root, only /tmp to write on, no compiler; and what its role imports is there."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.conftest import TAG
from tests.cluster.kube import Kubectl, wait_for

# What a role imports when it works; a module that is missing would fail in production, at first use.
MODULES = {
    "pipeline": (
        "components.cluster.ports",
        "components.collect.component",
        "kfp.dsl.executor_main",
        "lockgate.steps.check_serving",
        "lockgate.steps.collect",
        "lockgate.steps.evaluate",
        "lockgate.steps.push",
        "lockgate.steps.transform",
        "lockgate.steps.validate",
        "lockgate.gcs",
        "lockgate.report.chart",
        "lockgate.training.predict",
        "serving.runtime.server",
        "tensorflow_data_validation",
        "vl_convert",
    ),
    "trainer": (
        "components.cluster.ports",
        "components.train.component",
        "kfp.dsl.executor_main",
        "lockgate.steps.train",
        "lockgate.steps.tune",
        "lockgate.gcs",
        "lockgate.training.baselines",
        "lockgate.training.loop",
        "lockgate.training.tune",
        "lockgate.training.worker",
        "optuna.storages.journal",
        "vl_convert",
    ),
    "runtime": ("serving.runtime.model", "serving.runtime.scorer", "serving.runtime.server"),
    "controller": (
        "kopf",
        "kubernetes",
        "httpx",
        "lockgate.cli.app",
        "lockgate.gcs",
        "pipelines.schedules",
        "pipelines.submission",
        "prometheus_client.parser",
        "serving.controller.cluster.gitbook",
        "serving.controller.loop",
    ),
}
# The words that start a role's program; the rest are the image's own.
STARTS: dict[str, list[str]] = {
    "pipeline": ["python3", "-m", "kfp.dsl.executor_main", "--help"],
    "trainer": ["python3", "-m", "kfp.dsl.executor_main", "--help"],
    "runtime": ["--help"],
    "controller": ["version"],
}
LOOK = """
import importlib, importlib.util, json, os, pathlib, shutil, sys, tempfile

def writable(folder):
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False

compilers = [name for name in ("cc", "c++", "gcc", "g++", "clang", "ld", "as") if shutil.which(name)]
installers = [name for name in ("pip", "uv") if importlib.util.find_spec(name)]
for module in sys.argv[1:]:
    importlib.import_module(module)
site = pathlib.Path(next(path for path in sys.path if path.endswith("site-packages")))
sources = [f for package in ("lockgate", "kubernetes", "google") for f in (site / package).rglob("*.py")]
stale = [str(f) for f in sources if not pathlib.Path(importlib.util.cache_from_source(f)).exists()]
print(json.dumps({
    "uid": os.getuid(),
    "gid": os.getgid(),
    "writable": [f for f in ("/", "/opt/lockgate", str(site), "/var/tmp", "/home", "/tmp") if writable(f)],
    "compilers": compilers,
    "installers": installers,
    "without_byte_code": stale,
    "tensorflow": importlib.util.find_spec("tensorflow") is not None,
    "git": bool(shutil.which("git")),
}))
"""


def pod(name: str, role: str, **container: Any) -> dict[str, Any]:
    """A pod as strict as ours, under the image's own user."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "volumes": [{"name": "tmp", "emptyDir": {}}],
            "containers": [
                {
                    "name": "main",
                    "image": f"docker.io/lockgate/{role}:{TAG}",
                    "imagePullPolicy": "IfNotPresent",
                    "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}},
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                    "securityContext": {
                        "readOnlyRootFilesystem": True,
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    **container,
                }
            ],
        },
    }


def outcome(kubectl: Kubectl, namespace: str, name: str) -> str:
    """What a pod wrote, once it ended well."""

    def ended() -> str | None:
        phase = kubectl.get("pod", name, namespace=namespace)["status"]["phase"]
        return phase if phase in ("Succeeded", "Failed") else None

    phase = wait_for(ended, 300, f"the end of pod {name}")
    said = kubectl("logs", name, "-n", namespace)
    assert phase == "Succeeded", said
    return said


@pytest.fixture(scope="module", params=list(MODULES))
def role(request: pytest.FixtureRequest) -> str:
    """The roles, one after the other."""
    return request.param


@pytest.fixture(scope="module")
def look(kubectl: Kubectl, namespace: str, role: str) -> Iterator[dict[str, Any]]:
    """What a process in the role's image sees, after importing what the role imports."""
    command = ["python3", "-c", LOOK, *MODULES[role]]
    kubectl.apply(pod(f"look-{role}", role, command=command), namespace=namespace)
    yield json.loads(outcome(kubectl, namespace, f"look-{role}").splitlines()[-1])
    kubectl("delete", "pod", f"look-{role}", "-n", namespace, "--wait=false")


def test_runs_as_nobody_and_writes_to_tmp_alone(look):
    assert (look["uid"], look["gid"]) == (65532, 65532)
    assert look["writable"] == ["/tmp"]


def test_holds_no_compiler_and_nothing_that_installs(look):
    assert look["compilers"] == []
    assert look["installers"] == []


def test_has_byte_code_for_every_module(look):
    assert look["without_byte_code"] == []


def test_the_controller_is_light_and_the_others_have_tensorflow(look, role):
    assert look["tensorflow"] == (role != "controller")


def test_who_writes_to_a_repository_has_git(look, role):
    assert look["git"] == (role in ("pipeline", "controller"))


def test_starts_by_the_role_s_own_words(kubectl, namespace, role):
    own = {"args": STARTS[role]} if role in ("runtime", "controller") else {"command": STARTS[role]}
    kubectl.apply(pod(f"start-{role}", role, **own), namespace=namespace)
    said = outcome(kubectl, namespace, f"start-{role}")
    assert said.startswith("0.1.0" if role == "controller" else "usage:")


def test_is_no_larger_than_a_node_should_pull(kubectl, look, role):
    name = f"docker.io/lockgate/{role}:{TAG}"
    nodes = kubectl.get("nodes")["items"]
    sizes = [i["sizeBytes"] for n in nodes for i in n["status"]["images"] if name in (i.get("names") or ())]
    assert sizes, f"no node tells the size of {name}"
    assert max(sizes) < (400e6 if role == "controller" else 3e9)
