"""The training pipeline as Kubernetes objects, for a Kubeflow Pipelines that keeps pipelines in its cluster.

A `PipelineVersion` is named by its content and never changes; a new one is added beside it, and Git holds
which there are.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lockgate.project import Project
from lockgate.storage import write_atomically
from pipelines.documents import Compiled, Document

API = "pipelines.kubeflow.org/v2beta1"
DIGITS = 8
KUSTOMIZATION = "kustomization.yaml"
LABELS = {"app.kubernetes.io/part-of": "lockgate", "app.kubernetes.io/component": "pipeline"}


def pipeline_name(project: Project) -> str:
    """The name of the project's pipeline."""
    return f"lockgate-{project.name}"


def manifests(project: Project, compiled: Compiled, arguments: Mapping[str, str]) -> dict[str, Document]:
    """The `Pipeline` and the `PipelineVersion`, by file name.

    The arguments become the parameters' defaults, so that a run needs none. What the source holds when it is
    run is not known here, so the collect step is never taken from the cache.
    """
    version = compiled.uncached("collect").with_defaults(arguments)
    name = pipeline_name(project)
    versioned = f"{name}-{version.digest()[:DIGITS]}"
    spec: Document = {
        "pipelineName": name,
        "displayName": versioned,
        "description": f"Of {version.pipeline['sdkVersion']}, sha256 {version.digest()}.",
        "pipelineSpec": version.pipeline,
    }
    if version.platform:
        spec["platformSpec"] = version.platform
    words = project.description or f"The training pipeline of {project.name}."
    return {
        "pipeline.yaml": _object("Pipeline", name, project, {"description": words}),
        f"{versioned}.yaml": _object("PipelineVersion", versioned, project, spec),
    }


def _object(kind: str, name: str, project: Project, spec: Document) -> Document:
    labels = {**LABELS, "lockgate.dev/model": project.name}
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name, "labels": labels}, "spec": spec}


def write(folder: Path, objects: Mapping[str, Document]) -> list[Path]:
    """Writes the objects and a kustomization that lists them beside the versions that are there already.

    Returns:
        The files whose content has changed.

    Raises:
        StorageError: the folder cannot be written.
    """
    names = {path.name for path in folder.glob("*.yaml")} - {KUSTOMIZATION} | objects.keys()
    kustomization: Document = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(names),
    }
    changed = []
    for name, content in {**objects, KUSTOMIZATION: kustomization}.items():
        path, text = folder / name, _rendered(content)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_atomically(path, text.encode())
            changed.append(path)
    return changed


def _rendered(content: Any) -> str:
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=110)
