"""Definitions (CRDs) of what this cluster may lack, from the Go modules of the versions in versions.env."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.cluster.kube import Kubectl
from tests.manifests.built import versions

# By the name of the version: the module, the folder in it, and the kinds that Lockgate's manifests use.
MODULES = {
    "KUEUE": [
        ("sigs.k8s.io/kueue", "config/components/crd/bases", "clusterqueues localqueues resourceflavors")
    ],
    "PROMETHEUS_OPERATOR": [
        (
            "github.com/prometheus-operator/prometheus-operator",
            "example/prometheus-operator-crd",
            "podmonitors prometheusrules",
        )
    ],
    "FLUX_CONTROLLERS": [
        ("github.com/fluxcd/kustomize-controller", "config/crd/bases", "kustomizations"),
        ("github.com/fluxcd/source-controller", "config/crd/bases", "gitrepositories"),
    ],
    "ARGO_CD": [
        ("github.com/argoproj/argo-cd/v3", "manifests/crds", "application applicationset appproject")
    ],
}


@contextmanager
def defined(kubectl: Kubectl) -> Iterator[None]:
    """The cluster knows all kinds of the manifests inside the block; what it knew before is left alone.

    Skips the test where there is no Go tool to fetch the modules by.
    """
    there = {o["metadata"]["name"] for o in kubectl.get("customresourcedefinitions")["items"]}
    missing = [d for d in wanted() if d["metadata"]["name"] not in there]
    names = [f"customresourcedefinition/{d['metadata']['name']}" for d in missing]
    try:
        for definition in missing:
            kubectl.apply(definition)
        if names:
            kubectl("wait", "--for=condition=Established", "--timeout=60s", *names)
        yield
    finally:
        if names:
            kubectl("delete", "--ignore-not-found", *names)


def wanted() -> Iterator[dict]:
    """Every definition that the manifests need, beside those of KServe, Trainer and the Gateway API."""
    for version, modules in MODULES.items():
        for module, folder, plurals in modules:
            place = downloaded(module, versions()[version]) / folder
            for plural in plurals.split():
                (file,) = [
                    f for f in place.glob("*.yaml") if f.stem.endswith((f"_{plural}", f"{plural}-crd"))
                ]
                yield yaml.safe_load(file.read_text())


def downloaded(module: str, version: str) -> Path:
    """Where the Go tool keeps a module's files."""
    if not shutil.which("go"):
        pytest.skip(f"the definitions of {module} come by the Go tool, which is not installed")
    done = subprocess.run(
        ["go", "mod", "download", "-json", f"{module}@{version}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{module}@{version}: {done.stdout} {done.stderr}"
    return Path(json.loads(done.stdout)["Dir"])
