"""Images of one registry and one tag, chosen in one place."""

import pytest

from components.image import image
from lockgate import __version__
from lockgate.errors import ConfigError


def test_the_default_is_this_version():
    assert image("trainer", {}) == f"docker.io/lockgate/trainer:{__version__}"


def test_registry_and_tag_come_from_the_environment():
    chosen = {"LOCKGATE_REGISTRY": "registry.example/team/", "LOCKGATE_TAG": "dev"}
    assert image("pipeline", chosen) == "registry.example/team/pipeline:dev"


def test_empty_variables_are_as_good_as_none():
    assert image("runtime", {"LOCKGATE_REGISTRY": "", "LOCKGATE_TAG": ""}) == image("runtime", {})


@pytest.mark.parametrize("tag", ["sha256:" + "0" * 64, "a b", "-x", "x" * 129, "0.1.0\n"])
def test_what_is_no_tag_is_refused_with_advice(tag):
    with pytest.raises(ConfigError, match="LOCKGATE_TAG") as caught:
        image("pipeline", {"LOCKGATE_TAG": tag})
    assert "project.yaml" in caught.value.next_step
