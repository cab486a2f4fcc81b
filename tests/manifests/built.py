"""What kustomize makes of the tree, and what the tests look for in it."""

import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
MANIFESTS = ROOT / "manifests"
OVERLAYS = ("local", "staging", "production")
COMPONENTS = ("gpu", "monitoring", "network-policies", "queue")
CLUSTER_WIDE = {
    "Namespace",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleBinding",
    "ClusterServingRuntime",
    "ClusterStorageContainer",
    "ClusterTrainingRuntime",
    "ClusterQueue",
    "ResourceFlavor",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}
Object = dict[str, Any]


@functools.cache
def text(folder: Path) -> str:
    """The output of kustomize for a folder; skips the test where there is no kustomize."""
    if shutil.which("kubectl"):
        command = ["kubectl", "kustomize", str(folder)]
    elif shutil.which("kustomize"):
        command = ["kustomize", "build", str(folder)]
    else:
        pytest.skip("neither kubectl nor kustomize is on the PATH; .ci/run has kubectl")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{folder} does not build: {done.stderr}"
    return done.stdout


def build(folder: Path) -> list[Object]:
    """The objects of a folder."""
    return list(yaml.safe_load_all(text(folder)))


def overlay(name: str) -> list[Object]:
    return build(MANIFESTS / "overlays" / name)


def adhoc(resources: list[Path], components: list[Path] = [], **more: Any) -> list[Object]:  # noqa: B006
    """The objects of a kustomization that is made for a test."""
    with tempfile.TemporaryDirectory() as folder:
        # kustomize wants relative paths, between real ones.
        base = Path(folder).resolve()
        content = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [os.path.relpath(r.resolve(), base) for r in resources],
            "components": [os.path.relpath(c.resolve(), base) for c in components],
            **more,
        }
        (base / "kustomization.yaml").write_text(yaml.safe_dump(content))
        return build(base)


def versions() -> dict[str, str]:
    """versions.env."""
    lines = (MANIFESTS / "versions" / "versions.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def key(thing: Object) -> tuple[str, str]:
    return thing["kind"], thing["metadata"]["name"]


def walk(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every leaf of an object, with the way to it."""
    if isinstance(node, Mapping) and node:
        for name, child in node.items():
            yield from walk(child, (*path, name))
    elif isinstance(node, list) and node:
        for index, child in enumerate(node):
            yield from walk(child, (*path, index))
    else:
        yield path, node


def containers(node: Any) -> Iterator[Object]:
    """Every container of an object, wherever it stands."""
    if isinstance(node, Mapping):
        for name, child in node.items():
            if name in ("containers", "initContainers"):
                yield from child
            elif name == "container":
                yield child
            else:
                yield from containers(child)
    elif isinstance(node, list):
        for child in node:
            yield from containers(child)
