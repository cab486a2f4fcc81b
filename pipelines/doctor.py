"""Looks at a compiled pipeline for what a cluster or the local runner would do otherwise than it says.

Each rule is a function of the compiled pipeline that yields findings. An error is wrong on a cluster, a
warning is wrong in production or on this machine, information is good to know.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from pipelines.documents import Compiled, Document
from pipelines.workflow_size import LIMIT, estimate

Level = Literal["error", "warning", "info"]
Rule = Callable[[Compiled], Iterator["Finding"]]
LEVELS: tuple[Level, ...] = ("error", "warning", "info")

# Steps that have an effect, measure this machine, or depend on what the API does not see.
NEVER_CACHED = frozenset({"push", "check-serving", "evaluate"})
SECONDS_OF_LEVEL = "5 to 6 seconds"
TEXT_IN_CONDITION = re.compile(r"'[^']*'")
PARAMETER_IN_CONDITION = re.compile(r"inputs\.parameter_values\['[^']+'\]")


@dataclass(frozen=True)
class Finding:
    """What a rule found about a task (or an image, or the whole), in words."""

    level: Level
    rule: str
    subject: str
    words: str

    def sentence(self) -> str:
        """The finding as one line."""
        return f"{self.level}: {self.subject} {self.words}"


def findings(compiled: Compiled) -> list[Finding]:
    """What all rules found, errors first."""
    found = [finding for rule in RULES for finding in rule(compiled)]
    return sorted(found, key=lambda finding: LEVELS.index(finding.level))


def cached_effects(compiled: Compiled) -> Iterator[Finding]:
    """A step with an effect is not cached: setting it at submission reaches only the outermost tasks."""
    for name, task in compiled.tasks():
        if name in NEVER_CACHED and task.get("cachingOptions", {}).get("enableCache"):
            yield Finding(
                "error",
                "cached_effects",
                name,
                "may be taken from the cache; set_caching_options(False) on it",
            )


def unpinned_images(compiled: Compiled) -> Iterator[Finding]:
    """An image has a tag, and in production a digest: the cache goes by the reference, not by the content."""
    for image in sorted(
        {container["image"] for _, container in _containers(compiled) if "image" in container}
    ):
        name, _, digest = image.partition("@")
        tag = name.rpartition("/")[2].partition(":")[2]
        if digest:
            continue
        if tag in ("", "latest"):
            yield Finding("error", "unpinned_images", image, "has no fixed tag: two runs may differ")
        else:
            yield Finding(
                "warning",
                "unpinned_images",
                image,
                "has no digest: if its tag is moved, steps are taken from the cache of the old image",
            )


def several_pages(compiled: Compiled) -> Iterator[Finding]:
    """The dashboard shows one HTML artifact of a task."""
    for name, component in _components(compiled):
        outputs = component.get("outputDefinitions", {}).get("artifacts", {})
        pages = [key for key, value in outputs.items() if _is_page(value)]
        if len(pages) > 1:
            yield Finding(
                "error", "several_pages", name, f"has {len(pages)} pages ({', '.join(pages)}); one is shown"
            )


def workflow_size(compiled: Compiled) -> Iterator[Finding]:
    """The pipeline fits into one object of the cluster."""
    size = estimate(compiled)
    level: Level = "error" if size > LIMIT else "warning" if size > LIMIT / 2 else "info"
    words = f"is about {size:,} bytes as a workflow, {size / LIMIT:.0%} of what one object may hold"
    yield Finding(level, "workflow_size", compiled.pipeline["pipelineInfo"]["name"], words)


def conditions_on_text(compiled: Compiled) -> Iterator[Finding]:
    """The local runner passes conditions to Python's eval: only booleans and numbers are safe there."""
    for name, task in compiled.tasks():
        condition = task.get("triggerPolicy", {}).get("condition", "")
        if TEXT_IN_CONDITION.search(PARAMETER_IN_CONDITION.sub("", condition)):
            yield Finding(
                "warning",
                "conditions_on_text",
                name,
                "compares texts; the local runner evaluates them as Python: return a boolean",
            )


def lists_and_dicts(compiled: Compiled) -> Iterator[Finding]:
    """Whole numbers in a list or dict arrive as floats in the local runner."""
    for name, key, parameter in _parameters(compiled):
        if parameter.get("parameterType") in ("LIST", "STRUCT"):
            words = (
                f"takes {key} as {parameter['parameterType'].lower()}: locally its whole numbers arrive as"
            )
            yield Finding("warning", "lists_and_dicts", name, f"{words} floats; hand it over as JSON text")


def absent_numbers(compiled: Compiled) -> Iterator[Finding]:
    """An optional number without a default crashes the local runner."""
    for name, key, parameter in _parameters(compiled):
        is_number = parameter.get("parameterType", "").startswith("NUMBER")
        if is_number and parameter.get("isOptional") and "defaultValue" not in parameter:
            words = (
                f"takes {key}, a number that may be absent, which crashes the local runner; give a default"
            )
            yield Finding("warning", "absent_numbers", name, words)


def floats_returned(compiled: Compiled) -> Iterator[Finding]:
    """The backend makes an int of a float without a fraction."""
    for name, component in _components(compiled):
        for key, value in component.get("outputDefinitions", {}).get("parameters", {}).items():
            if value.get("parameterType") == "NUMBER_DOUBLE":
                yield Finding("info", "floats_returned", name, f"returns {key}: 5.0 arrives as the int 5")


def retries(compiled: Compiled) -> Iterator[Finding]:
    """On a cluster `set_retry` alone does not retry code that fails; the local runner does, at once."""
    for name, task in compiled.tasks():
        if count := task.get("retryPolicy", {}).get("maxRetryCount"):
            words = (
                f"is retried {count} times when its pod is lost, not when its code fails; not at all locally"
            )
            yield Finding("info", "retries", name, words)


def platform_settings(compiled: Compiled) -> Iterator[Finding]:
    """The local runner ignores secrets, timeouts and all else that is Kubernetes' own."""
    for platform in compiled.platform.get("platforms", {}).values():
        for label, settings in platform.get("deploymentSpec", {}).get("executors", {}).items():
            words = f"has {', '.join(sorted(settings))}, which the local runner ignores"
            yield Finding("info", "platform_settings", label.removeprefix("exec-"), words)


def installs(compiled: Compiled) -> Iterator[Finding]:
    """Nothing is installed when a step starts."""
    for name, container in _containers(compiled):
        if any("pip install" in word for word in container.get("command", ())):
            words = "installs packages when it starts; put them into its image, install_kfp_package=False"
            yield Finding("error", "installs", name, words)


def foreign_containers(compiled: Compiled) -> Iterator[Finding]:
    """A container component cannot run in the local runner without Docker."""
    for name, container in _containers(compiled):
        words = [*container.get("command", ()), *container.get("args", ())]
        if not any("kfp.dsl.executor_main" in word for word in words):
            said = "is a container of its own, which the local runner cannot run without Docker"
            yield Finding("warning", "foreign_containers", name, said)


def missing_requests(compiled: Compiled) -> Iterator[Finding]:
    """A pod that requests no memory is the first to be evicted."""
    for name, container in _containers(compiled):
        resources = container.get("resources", {})
        if not resources.keys() & {"memoryRequest", "resourceMemoryRequest"}:
            words = "requests no memory: its pod goes to any node, and is the first to be evicted"
            yield Finding("warning", "missing_requests", name, words)


def deep_groups(compiled: Compiled) -> Iterator[Finding]:
    """Each level of groups is a task of the backend."""

    def levels(component: Document) -> int:
        tasks = component.get("dag", {}).get("tasks", {}).values()
        inner = (compiled.pipeline["components"][task["componentRef"]["name"]] for task in tasks)
        return 1 + max(map(levels, inner), default=0) if tasks else 0

    depth = levels(compiled.pipeline["root"]) - 1
    if depth > 1:
        name = compiled.pipeline["pipelineInfo"]["name"]
        words = f"has groups in groups, {depth} levels; each takes a cluster {SECONDS_OF_LEVEL} more"
        yield Finding("warning", "deep_groups", name, words)


RULES: tuple[Rule, ...] = (
    cached_effects,
    unpinned_images,
    several_pages,
    workflow_size,
    conditions_on_text,
    lists_and_dicts,
    absent_numbers,
    floats_returned,
    retries,
    platform_settings,
    installs,
    foreign_containers,
    missing_requests,
    deep_groups,
)


def _components(compiled: Compiled) -> Iterator[tuple[str, Document]]:
    """The components that are containers, by the names of their tasks' steps."""
    for name, component in compiled.pipeline.get("components", {}).items():
        if "executorLabel" in component:
            yield name.removeprefix("comp-"), component


def _containers(compiled: Compiled) -> Iterator[tuple[str, Document]]:
    for label, executor in compiled.pipeline.get("deploymentSpec", {}).get("executors", {}).items():
        if "container" in executor:
            yield label.removeprefix("exec-"), executor["container"]


def _parameters(compiled: Compiled) -> Iterator[tuple[str, str, Document]]:
    for name, component in _components(compiled):
        for key, parameter in component.get("inputDefinitions", {}).get("parameters", {}).items():
            yield name, key, parameter


def _is_page(artifact: Document) -> bool:
    return artifact.get("artifactType", {}).get("schemaTitle") == "system.HTML"
