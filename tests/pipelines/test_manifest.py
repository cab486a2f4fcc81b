"""The pipeline's Kubernetes objects for GitOps."""

from pathlib import Path

import pytest
import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from lockgate.config import read_project
from lockgate.errors import ConfigError
from lockgate.workspace import Workspace
from pipelines.documents import Compiled, training
from pipelines.manifest import manifests, write
from pipelines.runners import pipeline_arguments

BUCKET = "gs://bucket/penguins"


@pytest.fixture(scope="module")
def pipeline() -> Compiled:
    return training()


def written(folder: Path, pipeline: Compiled, target: Path) -> list[Path]:
    project = read_project(folder)
    arguments = pipeline_arguments(project, folder, Workspace(BUCKET), look_at_source=False)
    return write(target, manifests(project, pipeline, arguments))


@pytest.fixture
def folder(example) -> Path:
    return example("penguins", cluster={"workspace": BUCKET})


def test_a_pipeline_and_a_version_named_by_its_content_are_written(folder, pipeline, tmp_path):
    written(folder, pipeline, tmp_path)
    listed = yaml.safe_load((tmp_path / "kustomization.yaml").read_text())["resources"]
    pipe, version = (yaml.safe_load((tmp_path / name).read_text()) for name in sorted(listed, reverse=True))
    assert (pipe["kind"], pipe["metadata"]["name"]) == ("Pipeline", "lockgate-penguins")
    assert version["kind"] == "PipelineVersion"
    assert version["apiVersion"] == pipe["apiVersion"] == "pipelines.kubeflow.org/v2beta1"
    assert version["spec"]["pipelineName"] == pipe["metadata"]["name"]
    held = Compiled(version["spec"]["pipelineSpec"], version["spec"].get("platformSpec", {}))
    assert version["metadata"]["name"] == f"lockgate-penguins-{held.digest()[:8]}"
    assert version["metadata"]["name"] + ".yaml" in listed


def test_a_run_of_it_needs_no_parameters_and_collects_anew(folder, pipeline, tmp_path):
    written(folder, pipeline, tmp_path)
    version = next(tmp_path.glob("lockgate-*.yaml"))
    spec = yaml.safe_load(version.read_text())["spec"]["pipelineSpec"]
    parsed = json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    parameters = parsed.root.input_definitions.parameters
    assert all(parameter.is_optional for parameter in parameters.values())
    assert parameters["workspace"].default_value.string_value == BUCKET
    assert not parsed.root.dag.tasks["collect"].caching_options.enable_cache
    assert parsed.root.dag.tasks["train"].caching_options.enable_cache


def test_the_same_content_gives_the_same_bytes_and_changes_nothing(folder, pipeline, tmp_path):
    assert len(written(folder, pipeline, tmp_path / "a")) == 3
    assert written(folder, pipeline, tmp_path / "a") == []
    written(folder, training(), tmp_path / "b")
    a, b = ({f.name: f.read_bytes() for f in (tmp_path / n).iterdir()} for n in "ab")
    assert a == b


def test_another_content_is_another_version_beside_the_first(folder, pipeline, tmp_path, example):
    written(folder, pipeline, tmp_path)
    other = example("penguins", cluster={"workspace": BUCKET}, **{"train.epochs": 3})
    changed = written(other, pipeline, tmp_path)
    assert {path.name for path in changed} >= {"kustomization.yaml"}
    assert len(changed) == 2
    versions = list(tmp_path.glob("lockgate-penguins-*.yaml"))
    assert len(versions) == 2
    listed = yaml.safe_load((tmp_path / "kustomization.yaml").read_text())["resources"]
    assert {path.name for path in versions} < set(listed)


def test_what_is_asked_of_kubernetes_goes_along(folder, pipeline, tmp_path):
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {}}}}}
    written(folder, Compiled(pipeline.pipeline, platform), tmp_path)
    version = yaml.safe_load(next(tmp_path.glob("lockgate-*.yaml")).read_text())
    assert version["spec"]["platformSpec"] == platform


def test_the_command_line_writes_them(folder, lockgate, tmp_path):
    done = lockgate("pipeline", "manifest", folder, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("wrote ") == 3
    again = lockgate("pipeline", "manifest", folder, "--out", tmp_path)
    assert "nothing changed" in again.stdout


def test_without_a_workspace_in_a_bucket_it_is_refused(example, lockgate, tmp_path):
    done = lockgate("pipeline", "manifest", example("penguins"), "--out", tmp_path)
    assert done.returncode == ConfigError.exit_code
    assert "No workspace is set." in done.stderr
    assert list(tmp_path.iterdir()) == []
