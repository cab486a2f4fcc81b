"""The compiled pipeline, task by task as pods from the images, over gs://, with two training workers."""

import json
import re
import uuid
from collections.abc import Callable
from importlib.metadata import files
from pathlib import Path

import httpx
import pytest
import yaml

from lockgate.config import read_project
from lockgate.records import Snapshot, Verdict
from lockgate.shipping.folder import folder_digest
from lockgate.storage import store_at
from lockgate.workspace import Workspace
from pipelines.compile import compiled
from pipelines.runners import pipeline_arguments
from pipelines.training import training_pipeline
from tests.cluster.backend.run import Run, TaskFailed
from tests.cluster.conftest import TAG
from tests.cluster.kube import Kubectl

pytestmark = pytest.mark.timeout(1200)
STEPS = ("collect", "validate", "transform", "tune", "train", "evaluate", "check-serving", "push")
PROJECT = """
name: penguins
task: multiclass
data: {source: %(source)s, label: species, keys: [year]}
split: {test: 0.25, tune: 0.15, seed: 11}
model: {hidden: [16]}
train: {epochs: 20, batch_size: 32, learning_rate: 0.01, workers: 2, baseline: linear}
evaluate:
  metric: log_loss
  rules: {minimum: {accuracy: %(accuracy)s}, baseline_gain: -1.0}
serving: {rows: 300, load_seconds: 240, latency_ms: 2000}
validation: {limits: {leakage: %(leakage)s}}
cluster: {namespace: %(namespace)s, training: {cpu: 100m, memory: 1500Mi}}
push: {to: cluster, strategy: replace, replicas: 1, cpu: 100m, host: %(host)s}
"""

Go = Callable[..., Run]


@pytest.fixture(scope="module")
def go(
    namespace: str, kubectl: Kubectl, bucket: str, emulator: str, tmp_path_factory: pytest.TempPathFactory
) -> Go:
    """Runs the pipeline on the penguins, with settings changed by name, after an earlier run or afresh."""
    # KFP gives a run one service account, so it needs the right to push, too; docs/platform.md says so.
    account = f"{namespace}:lockgate-pipeline"
    kubectl(
        "create",
        "rolebinding",
        "-n",
        namespace,
        "pushes",
        "--role=lockgate-push",
        f"--serviceaccount={account}",
    )
    source = next(Path(f.locate()) for f in files("palmerpenguins") or () if f.name == "penguins.csv")
    text = source.read_text().replace("NA", "")
    store_at(bucket).write("raw/penguins.csv", text.encode())
    spec = yaml.safe_load(compiled(training_pipeline).replace(":0.1.0", f":{TAG}"))
    folder = tmp_path_factory.mktemp("penguins")

    def run(*, earlier: Run | None = None, accuracy: float = 0.8, leakage: float = 0.9) -> Run:
        written = PROJECT % {
            "source": f"{bucket}/raw/penguins.csv",
            "namespace": namespace,
            "host": f"penguins.{namespace}.models",
            "accuracy": accuracy,
            "leakage": leakage,
        }
        (folder / "project.yaml").write_text(written)
        arguments = pipeline_arguments(read_project(folder), folder, Workspace(f"{bucket}/workspace"))
        started = Run(
            kubectl=kubectl,
            namespace=namespace,
            spec=spec,
            root=f"{bucket}/runs/run-{uuid.uuid4().hex[:6]}",
            environment={"STORAGE_EMULATOR_HOST": emulator},
            earlier=earlier,
        )
        started.start(arguments)
        return started

    return run


@pytest.fixture(scope="module")
def approved(go: Go) -> Run:
    """A run whose model passes all gates."""
    return go()


def artifact(run: Run, task: str, name: str, path: Path, file: str = "") -> Path:
    """An artifact, or a file of it, fetched into `path`."""
    store = store_at(run.uris[task][name].rpartition("/")[0])
    store.fetch(f"{name}/{file}" if file else name, path)
    return path


def test_every_task_runs_from_its_image_and_the_model_lies_in_the_bucket(
    approved: Run, bucket: str, tmp_path: Path
) -> None:
    assert approved.states == dict.fromkeys(STEPS, "Succeeded")
    assert approved.values["push"] == {"Output": True}
    card = json.loads(artifact(approved, "push", "card", tmp_path / "card.json").read_text())
    folder = tmp_path / card["content"]
    store = store_at(f"{bucket}/workspace/models/{card['content']}")
    for name in store.names(""):
        store.fetch(name, folder / name)
    assert folder_digest(folder) == card["content"]
    pointer = json.loads(store_at(f"{bucket}/workspace").read("champion.json") or b"{}")
    assert pointer["digest"] == card["content"]


def test_the_pushed_model_answers_through_the_gateway(approved: Run, namespace: str, gateway: str) -> None:
    row = {"island": "Biscoe", "bill_length_mm": 48.7, "flipper_length_mm": 222, "body_mass_g": 5350}
    whole = row | {"bill_depth_mm": 15.1, "sex": "male"}
    answer = httpx.post(
        f"{gateway}/v1/models/penguins:predict",
        headers={"Host": f"penguins.{namespace}.models"},
        json={"instances": [whole]},
        timeout=30,
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["predictions"][0]["label"] == "Gentoo"


def test_the_two_workers_ran_as_pods_of_their_own_and_their_job_is_gone(
    approved: Run, tmp_path: Path, kubectl: Kubectl, namespace: str
) -> None:
    record = json.loads(
        artifact(approved, "train", "training", tmp_path / "t.json", "training.json").read_text()
    )
    assert record["workers"] == 2
    assert not kubectl.get("trainjobs.trainer.kubeflow.org", namespace=namespace)["items"]


def test_a_laptop_freezes_the_same_data(approved: Run, tmp_path: Path, go: Go, bucket: str) -> None:
    found = Snapshot.load(artifact(approved, "collect", "snapshot", tmp_path / "s.json", "snapshot.json"))
    assert found.rows == 344
    names = set(store_at(f"{bucket}/workspace").names("data"))
    assert {partition.path for partition in found.partitions} <= names


def test_no_step_installs_anything(approved: Run, kubectl: Kubectl, namespace: str) -> None:
    for step in STEPS:
        pod = kubectl.get("pod", f"{approved.label}-{step}", namespace=namespace)
        assert not re.search(r"\bpip\b", " ".join(pod["spec"]["containers"][0]["command"]))


def test_a_rejected_model_ends_the_run_well_and_the_unchanged_steps_are_taken_from_before(
    approved: Run, go: Go, tmp_path: Path
) -> None:
    rejected = go(earlier=approved, accuracy=1.0)
    assert [step for step in STEPS if rejected.states[step] == "Cached"] == list(STEPS[:5])
    assert rejected.states["evaluate"] == "Succeeded"
    assert rejected.states["check-serving"] == rejected.states["push"] == "Skipped"
    verdict = Verdict.load(artifact(rejected, "evaluate", "verdict", tmp_path / "verdict.json"))
    assert not verdict.is_open


def test_a_closed_data_gate_stops_the_run_with_its_reason(approved: Run, go: Go) -> None:
    with pytest.raises(TaskFailed, match="leakage") as stopped:
        go(earlier=approved, leakage=0.1)
    assert stopped.value.task == "transform"
