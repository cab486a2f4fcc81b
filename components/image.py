"""The images that components run from on a cluster: one per role, all of one registry and one tag.

`LOCKGATE_REGISTRY` and `LOCKGATE_TAG` choose others when a pipeline is compiled or submitted. A project pins
its own, by digest, in project.yaml: `cluster.images`.
"""

import os
import re
from collections.abc import Mapping
from typing import Literal

from lockgate import __version__
from lockgate.errors import ConfigError

Role = Literal["pipeline", "trainer", "runtime", "controller"]
REGISTRY = "docker.io/lockgate"
# What a registry takes: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")


def image(role: Role, environment: Mapping[str, str]) -> str:
    """The reference of a role's image, such as docker.io/lockgate/trainer:0.1.0.

    Raises:
        ConfigError: LOCKGATE_TAG is no tag.
    """
    registry = environment.get("LOCKGATE_REGISTRY") or REGISTRY
    tag = environment.get("LOCKGATE_TAG") or __version__
    if not TAG.fullmatch(tag):
        raise ConfigError(
            f"LOCKGATE_TAG is {tag!r}, which is no tag of an image.",
            "A tag has at most 128 letters, digits, dots, dashes and underscores.",
            "Give a tag, such as 0.1.0. Digests go into project.yaml: cluster: {images: …}.",
        )
    return f"{registry.rstrip('/')}/{role}:{tag}"


PIPELINE_IMAGE = image("pipeline", os.environ)
TRAINER_IMAGE = image("trainer", os.environ)
