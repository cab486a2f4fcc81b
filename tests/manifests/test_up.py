"""make up and make deploy before they reach a cluster: what they ask for, and what they say without it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.manifests.built import MANIFESTS, containers, versions

TOOLS = ("bash", "dirname", "cat", "mkdir", "grep", "sed", "mktemp", "rm", "sort", "tr", "env")


@pytest.fixture
def path_with(tmp_path):
    """Makes a PATH that has a few of this machine's programs and no others."""

    def make(*programs):
        folder = tmp_path / "bin"
        folder.mkdir()
        for name in programs:
            found = shutil.which(name) or pytest.skip(f"{name} is not installed")
            (folder / name).symlink_to(found)
        return str(folder)

    return make


def call(script, path, *words, **environment):
    return subprocess.run(
        [shutil.which("bash"), str(script), *words],
        env={"PATH": path, "HOME": "/nonexistent", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_up_names_the_program_that_is_missing(path_with):
    done = call(MANIFESTS / "kind" / "up", path_with(*TOOLS))
    assert done.returncode == 10
    assert "The program docker is not installed." in done.stderr
    assert "make deploy" in done.stderr


def test_deploy_names_the_program_that_is_missing(path_with):
    done = call(MANIFESTS / "deploy", path_with(*TOOLS))
    assert done.returncode == 10
    assert "The program kubectl is not installed." in done.stderr


def test_deploy_says_that_no_cluster_answers(path_with, tmp_path):
    nowhere = {
        "clusters": [{"name": "a", "cluster": {"server": "http://127.0.0.1:9"}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "users": [{"name": "a", "user": {}}],
        "current-context": "a",
    }
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(nowhere))
    done = call(MANIFESTS / "deploy", path_with(*TOOLS, "kubectl"), KUBECONFIG=str(file))
    assert done.returncode == 10
    assert f"No cluster answers at {file}" in done.stderr
    assert "make up" in done.stderr


def test_deploy_names_the_overlays_that_there_are(path_with):
    done = call(MANIFESTS / "deploy", path_with(*TOOLS, "kubectl"), "nowhere")
    assert done.returncode == 10
    assert "There are: local production staging" in done.stderr


def test_every_version_is_used_and_every_placeholder_filled():
    kind = MANIFESTS / "kind"
    script = (kind / "up").read_text()
    tests = "".join(f.read_text() for f in (Path(__file__).parent.parent / "cluster").rglob("*.py"))
    replaced = set(re.findall(r"s\|\\\$([A-Z_]+)\|", script))
    for file in kind.glob("*.yaml"):
        assert set(re.findall(r"\$([A-Z_]+)\b(?=[:\n/]|$)", file.read_text())) <= replaced, file.name
    for name in versions():
        assert re.search(rf"\${name}\b", script) or f'"{name}"' in tests, f"nothing uses {name}"


@pytest.mark.parametrize("name", ["gateway", "bucket"])
def test_what_up_adds_is_held_to_restricted(name):
    objects = list(yaml.safe_load_all((MANIFESTS / "kind" / f"{name}.yaml").read_text()))
    found = [c for o in objects for c in containers(o)]
    assert found
    for container in found:
        assert container["image"].rpartition(":")[2].startswith("$")
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    for thing in objects:
        if thing["kind"] == "Namespace":
            assert thing["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("script", ["kind/up", "deploy"])
def test_scripts_are_sound(script):
    assert subprocess.run(["bash", "-n", MANIFESTS / script], check=False).returncode == 0
    if shutil.which("shellcheck"):
        done = subprocess.run(["shellcheck", MANIFESTS / script], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
