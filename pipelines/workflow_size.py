"""How large a pipeline becomes as an Argo workflow, which must fit into one object of the cluster."""

import json
from collections.abc import Mapping
from typing import Any

from lockgate.errors import ConfigError
from pipelines.documents import Compiled

# Argo keeps a workflow in one object; beyond 1 MiB it cannot store it without a database of its own, and
# etcd refuses requests beyond 1.5 MiB.
LIMIT = 2**20
# What KFP's backend puts around any pipeline, and around each task; counted on the workflow that it makes of
# KFP's own hello-world example, 9,928 characters.
FRAME, FRAME_OF_TASK = 7_800, 950
# Linux takes no single argument of a program beyond this; the root driver's holds all parameters of a run.
LONGEST_ARGUMENT = 128 * 1024


def estimate(compiled: Compiled, arguments: Mapping[str, str] | None = None) -> int:
    """The size of the workflow in bytes, before it runs.

    Each component, container and task stands in it as JSON inside a string, and so do the run's arguments;
    a task stands also in the component around it.
    """
    parts: list[Any] = [
        compiled.pipeline["root"],
        *compiled.pipeline.get("components", {}).values(),
        *compiled.pipeline.get("deploymentSpec", {}).get("executors", {}).values(),
        *(task for _, task in compiled.tasks()),
        {"parameters": dict(arguments or {})},
        compiled.platform,
    ]
    tasks = sum(1 for _ in compiled.tasks())
    return FRAME + tasks * FRAME_OF_TASK + sum(_inside_a_string(part) for part in parts)


def _inside_a_string(value: Any) -> int:
    return len(json.dumps(json.dumps(value)).encode())


def check_arguments(arguments: Mapping[str, str]) -> None:
    """A run's parameters must fit into one argument of the backend's driver.

    Raises:
        ConfigError: they do not; the largest is named.
    """
    size = len(json.dumps({"parameters": dict(arguments)}).encode())
    if size < LONGEST_ARGUMENT:
        return
    largest = max(arguments, key=lambda name: len(arguments[name]))
    raise ConfigError(
        f"The run's parameters take {size:,} bytes, {len(arguments[largest].encode()):,} of them {largest}.",
        f"Kubeflow Pipelines hands them over as one argument of less than {LONGEST_ARGUMENT:,} bytes.",
        "Make project.yaml, the schema or the Python file beside it shorter.",
    )
