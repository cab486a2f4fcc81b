"""A compiled pipeline as documents: the pipeline itself, and what it asks of Kubernetes beside."""

import copy
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lockgate.errors import ConfigError
from lockgate.project import Images
from lockgate.records import digest_of

Document = dict[str, Any]
NEW_PODS = {
    "maxRetryCount": 2,
    "backoffDuration": "30s",
    "backoffFactor": 2.0,
    "backoffMaxDuration": "300s",
}


@dataclass(frozen=True)
class Compiled:
    """A pipeline as KFP's compiler writes it.

    `pipeline` is the pipeline spec; `platform` is what kfp-kubernetes adds, empty where nothing was asked.
    """

    pipeline: Document
    platform: Document

    @classmethod
    def parse(cls, text: str) -> "Compiled":
        """Reads the one or two YAML documents that the compiler wrote."""
        documents = list(yaml.safe_load_all(text))
        return cls(documents[0], documents[1] if len(documents) > 1 else {})

    @classmethod
    def read(cls, path: Path) -> "Compiled":
        """Reads a file that the compiler wrote.

        Raises:
            ConfigError: it cannot be read, or is no compiled pipeline.
        """
        from google.protobuf import json_format
        from kfp.pipeline_spec import pipeline_spec_pb2

        try:
            found = cls.parse(path.read_text(encoding="utf-8"))
            spec = json_format.ParseDict(found.pipeline, pipeline_spec_pb2.PipelineSpec())
            json_format.ParseDict(found.platform, pipeline_spec_pb2.PlatformSpec())
            if not spec.root.dag.tasks:
                raise ValueError("it has no tasks")
        except (OSError, ValueError, LookupError, AttributeError, yaml.YAMLError, json_format.Error) as error:
            raise ConfigError(
                f"{path} is no compiled pipeline: {error}.",
                "It is the YAML that KFP's compiler writes.",
                "Make one with `make compile`.",
            ) from None
        return found

    def body(self) -> Document:
        """The form in which the API takes a pipeline."""
        if not self.platform:
            return self.pipeline
        return {"pipeline_spec": self.pipeline, "platform_spec": self.platform}

    def digest(self) -> str:
        """The SHA-256 of the content, 64 hexadecimal digits."""
        return digest_of([self.pipeline, self.platform])

    def tasks(self) -> Iterator[tuple[str, Document]]:
        """Every task with its name: each after those that it depends on, a group before what is in it."""
        yield from self._tasks(self.pipeline["root"])

    def _tasks(self, component: Document) -> Iterator[tuple[str, Document]]:
        waiting = dict(component.get("dag", {}).get("tasks", {}))
        while waiting:
            # The compiler writes them by name. A name that is not there is a task of a group around this one.
            ready = [n for n in waiting if not waiting.keys() & set(waiting[n].get("dependentTasks", ()))]
            for name in ready or list(waiting):
                task = waiting.pop(name)
                yield name, task
                yield from self._tasks(self.pipeline["components"][task["componentRef"]["name"]])

    def groups(self) -> tuple[str, ...]:
        """The names of tasks that are groups under a condition."""
        return tuple(name for name, task in self.tasks() if "triggerPolicy" in task)

    def titles(self) -> dict[str, str]:
        """By task, the name that people read."""
        return {name: task.get("taskInfo", {}).get("name", name) for name, task in self.tasks()}

    def uncached(self, *names: str) -> "Compiled":
        """The same pipeline, with tasks (none named: all) that are never taken from the cache."""
        changed = copy.deepcopy(self)
        for found, task in changed.tasks():
            if "cachingOptions" in task and (not names or found in names):
                task["cachingOptions"] = {}
        return changed

    def with_new_pods(self) -> "Compiled":
        """The same pipeline, with a new pod for a task whose pod was lost.

        A step may be started again: it finds what it has done by its content, goes on at its checkpoint, and
        a second push of the same model changes nothing. KFP's backend does not retry code that fails. The
        local runner does, and so this is not part of the pipeline itself.
        """
        changed = copy.deepcopy(self)
        for _, task in changed.tasks():
            if "triggerPolicy" not in task:
                task["retryPolicy"] = dict(NEW_PODS)
        return changed

    def with_images(self, images: Mapping[str, str]) -> "Compiled":
        """The same pipeline from other images; `images` are the new ones by the old."""
        changed = copy.deepcopy(self)
        for executor in changed.pipeline["deploymentSpec"]["executors"].values():
            if container := executor.get("container"):
                container["image"] = images.get(container["image"], container["image"])
        return changed

    def with_defaults(self, values: Mapping[str, str]) -> "Compiled":
        """The same pipeline, with values for its parameters, so that a run can be started without any."""
        changed = copy.deepcopy(self)
        parameters = changed.pipeline["root"]["inputDefinitions"]["parameters"]
        for name, value in values.items():
            parameters[name] |= {"defaultValue": value, "isOptional": True}
        return changed


def compiled(pipeline: Any) -> str:
    """The pipeline as the YAML that a cluster takes."""
    from kfp import compiler

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(pipeline, str(target))
        return target.read_text()


def training(images: Images | None = None) -> Compiled:
    """The training pipeline for a cluster, compiled now: with this code, from the images of the project."""
    from components.image import PIPELINE_IMAGE, TRAINER_IMAGE
    from pipelines.training import training_pipeline

    named = {PIPELINE_IMAGE: images.pipeline, TRAINER_IMAGE: images.trainer} if images else {}
    found = Compiled.parse(compiled(training_pipeline)).with_new_pods()
    return found.with_images({old: new for old, new in named.items() if new})
