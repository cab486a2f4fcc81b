"""Training on a real cluster: pods that are killed, deleted, stopped, that never start, that fail."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.cluster import indexed_job, trainjob
from components.cluster.connection import Api
from components.cluster.launcher import PodWorkers
from components.cluster.observing import INDEX_LABEL
from components.cluster.work import Work, job_name
from lockgate.errors import TrainingError
from lockgate.project import Tuning
from lockgate.project.cluster import TrainingPods
from lockgate.storage import store_at
from lockgate.training.archive import POINTER, Archive, Pointer
from lockgate.training.executor import Trained, execute
from lockgate.training.job import DONE, Job, run_job, strategy_of
from lockgate.training.loop import Watch
from lockgate.training.record import Trial
from lockgate.training.state import LoopState
from lockgate.training.tune import search
from tests.cluster.kube import Kubectl, wait_for
from tests.cluster.training.jobs import CHECKPOINT, CODE, EPOCHS, IMAGE, ROWS, STEPS, job_of
from tests.cluster.training.killer import Killer
from tests.unit.training_data import write_features

ROOT = Path(__file__).parents[2]
LAUNCH = Path(__file__).parent / "training" / "launch.py"
PLANNED = EPOCHS * STEPS
ALL_GONE = 60


@pytest.fixture(scope="module", autouse=True)
def runtime(kubectl: Kubectl) -> None:
    """The runtime of the manifests, as it is."""
    kubectl("apply", "--server-side", "-f", str(ROOT / "manifests" / "base" / "training-runtime.yaml"))


@pytest.fixture(scope="module")
def killer(kubectl: Kubectl) -> Iterator[Killer]:
    found = Killer(kubectl)
    try:
        found.start()
        yield found
    finally:
        found.stop()


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training") / "features"
    write_features(folder, ROWS)
    return folder


@pytest.fixture(scope="module")
def alone(features: Path) -> LoopState:
    """What one process of this machine learns."""
    job = job_of(str(features.parent / "alone"), features, workers=1)
    return run_job(job, strategy_of(1), watch=Watch())


class Cluster:
    """What the tests do on the cluster: run a job with a hand in it, look at its pods, see all of it go."""

    def __init__(self, kubectl: Kubectl, namespace: str, bucket: str) -> None:
        self.kubectl, self.namespace, self.bucket = kubectl, namespace, bucket
        self.lines: list[str] = []

    def folder(self, name: str) -> str:
        return f"{self.bucket}/checkpoints/{name}"

    def run(self, job: Job, progress: Callable[[LoopState], None] = lambda _: None) -> Trained:
        return execute(job, progress, PodWorkers(Api.connect, self.namespace, tell=self.lines.append))

    def pods(self, job: Job) -> dict[int, str]:
        """The names of the job's pods, by worker."""
        found = self.kubectl.get("pods", namespace=self.namespace, labels=selector(job))["items"]
        return {int(p["metadata"]["labels"][INDEX_LABEL]): p["metadata"]["name"] for p in found}

    def in_mid_epoch(self, act: Callable[[], object]) -> Callable[[LoopState], None]:
        """Acts once, when the chief says that it is in the middle of the first epoch, past a checkpoint."""
        acted: list[int] = []

        def progress(state: LoopState) -> None:
            if CHECKPOINT < state.step < STEPS - CHECKPOINT and not acted:
                acted.append(state.step)
                act()

        return progress

    def job(self, name: str) -> dict[str, Any] | None:
        """The TrainJob of this name, once it is there."""
        found = self.kubectl.get("trainjobs", namespace=self.namespace)["items"]
        return next((j for j in found if j["metadata"]["name"] == name), None)

    def is_gone(self, job: Job, kind: str = "trainjob") -> bool:
        name = job_name(job.project.name, job.folder)
        left = [n for n in self.kubectl("get", kind, "-n", self.namespace, "-o", "name").split() if name in n]
        return not left and not self.pods(job)

    def await_gone(self, job: Job, kind: str = "trainjob") -> None:
        wait_for(lambda: self.is_gone(job, kind), ALL_GONE, f"the end of {kind} and pods of {job.folder}")


def selector(job: Job) -> str:
    return f"batch.kubernetes.io/job-name={job_name(job.project.name, job.folder)}-node-0"


@pytest.fixture
def cluster(kubectl: Kubectl, namespace: str, bucket: str) -> Cluster:
    return Cluster(kubectl, namespace, bucket)


def check_planned(state: LoopState, alone: LoopState, *, resumed: int) -> None:
    """Exactly the planned steps, whatever happened on the way, and the loss of one process."""
    assert state.step == PLANNED
    assert [e.step for e in state.history] == [STEPS, PLANNED]
    assert len(state.resumed_at) == resumed
    assert [e.loss for e in state.history] == pytest.approx([e.loss for e in alone.history], abs=1e-5)
    assert [e.tune_loss for e in state.history] == pytest.approx(
        [e.tune_loss for e in alone.history], abs=1e-5
    )


def test_two_workers_in_pods_learn_what_one_process_learns(
    cluster: Cluster, features: Path, alone: LoopState
) -> None:
    seen: list[dict[str, Any]] = []

    def look(state: LoopState) -> None:
        if not seen:
            seen.extend(
                cluster.kubectl.get("pods", namespace=cluster.namespace, labels=selector(job))["items"]
            )

    job = job_of(cluster.folder("same"), features)
    trained = cluster.run(job, look)
    check_planned(trained.state, alone, resumed=0)
    assert trained.restarts == 0
    assert len(trained.weights) == 4
    assert len(seen) == 2
    for pod in seen:
        assert pod["spec"]["serviceAccountName"] == "lockgate-trainer"
        assert not any("serviceAccountToken" in str(v) for v in pod["spec"]["volumes"])
    assert any("[worker 0]" in line for line in cluster.lines)
    cluster.await_gone(job)


@pytest.mark.parametrize("worker", [0, 1])
def test_a_killed_container_heals_by_itself(
    cluster: Cluster, killer: Killer, features: Path, alone: LoopState, worker: int
) -> None:
    job = job_of(cluster.folder(f"killed-{worker}"), features)
    trained = cluster.run(
        job, cluster.in_mid_epoch(lambda: killer.kill(cluster.namespace, cluster.pods(job)[worker]))
    )
    check_planned(trained.state, alone, resumed=1)
    assert trained.restarts == 1
    at = trained.state.resumed_at[0]
    assert 0 < at < STEPS
    assert at % CHECKPOINT == 0


def test_a_deleted_pod_is_replaced_and_no_step_is_lost(
    cluster: Cluster, features: Path, alone: LoopState
) -> None:
    job = job_of(cluster.folder("deleted"), features)
    steps: list[int] = []

    def delete() -> None:
        cluster.kubectl("delete", "pod", "-n", cluster.namespace, cluster.pods(job)[1], "--wait=false")

    act = cluster.in_mid_epoch(delete)

    def progress(state: LoopState) -> None:
        steps.append(state.step)
        act(state)

    trained = cluster.run(job, progress)
    check_planned(trained.state, alone, resumed=1)
    # Both workers have saved, so the training goes on where it was asked to stop, or later.
    assert trained.state.resumed_at[0] >= next(s for s in steps if s > CHECKPOINT)


@pytest.fixture
def launched(tmp_path: Path, namespace: str) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts steps as processes of this machine, which are ended with the test."""
    processes: list[subprocess.Popen[str]] = []

    def start(job: Job, **environment: str) -> subprocess.Popen[str]:
        job.save(tmp_path / "step.json")
        process = subprocess.Popen(
            [sys.executable, str(LAUNCH), str(tmp_path), namespace],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()


def events(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    return (json.loads(line) for line in process.stdout)


def await_step(process: subprocess.Popen[str], least: int) -> None:
    assert any(event.get("step", 0) >= least for event in events(process)), process.wait()


def test_asked_to_stop_the_workers_save_and_one_process_goes_on(
    cluster: Cluster, features: Path, alone: LoopState, launched: Callable[..., subprocess.Popen[str]]
) -> None:
    job = job_of(cluster.folder("stopped"), features, checkpoint_steps=100_000)
    process = launched(job)
    await_step(process, CHECKPOINT)
    process.send_signal(signal.SIGTERM)
    assert list(events(process))[-1] == {"interrupted": True}
    assert process.wait() == 42
    assert cluster.is_gone(job)
    pointer = store_at(job.folder).read(POINTER)
    assert pointer is not None
    saved = Pointer.model_validate_json(pointer).step
    assert CHECKPOINT <= saved < PLANNED
    # Nothing in a checkpoint depends on the number of workers.
    settings = job.settings.model_copy(update={"workers": 1})
    rest = job.model_copy(update={"project": job.project.model_copy(update={"train": settings})})
    state = execute(rest, lambda _: None).state
    assert state.resumed_at == (saved,)
    check_planned(state, alone, resumed=1)


def test_a_step_that_is_started_again_follows_the_job_that_runs(
    cluster: Cluster, features: Path, alone: LoopState, launched: Callable[..., subprocess.Popen[str]]
) -> None:
    job = job_of(cluster.folder("adopted"), features)
    process = launched(job)
    await_step(process, CHECKPOINT)
    process.kill()
    process.wait()
    before = cluster.pods(job)
    assert len(before) == 2
    trained = cluster.run(job)
    assert any("runs already: this step follows it" in line for line in cluster.lines)
    assert trained.restarts == 0
    check_planned(trained.state, alone, resumed=0)
    cluster.await_gone(job)


def test_the_job_goes_with_the_run(
    cluster: Cluster, features: Path, launched: Callable[..., subprocess.Popen[str]]
) -> None:
    container = {
        "name": "main",
        "image": IMAGE,
        "command": ["python", "-c", "import signal; signal.sigwait([signal.SIGTERM])"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    secure = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    step = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "step"}}
    spec = {"containers": [container], "securityContext": secure, "terminationGracePeriodSeconds": 1}
    cluster.kubectl.apply({**step, "spec": spec}, namespace=cluster.namespace)
    job = job_of(cluster.folder("owned"), features)
    process = launched(job, POD_NAME="step", POD_NAMESPACE=cluster.namespace)
    await_step(process, 1)
    cluster.kubectl("delete", "pod", "step", "-n", cluster.namespace, "--wait=false")
    error = next(event["error"] for event in events(process) if "error" in event)
    assert "was deleted while it ran" in error
    assert process.wait() == TrainingError.exit_code
    cluster.await_gone(job)


def test_a_step_in_a_pod_has_all_the_rights_it_needs_and_lends_its_image(
    cluster: Cluster, features: Path, alone: LoopState
) -> None:
    for made in yaml.safe_load_all((ROOT / "manifests" / "base" / "access" / "pipeline.yaml").read_text()):
        if made["kind"] != "ServiceAccount":
            made["metadata"]["namespace"] = cluster.namespace
            for subject in made.get("subjects", []):
                subject["namespace"] = cluster.namespace
            cluster.kubectl.apply(made)
    folder = cluster.folder("in-a-pod")
    store_at(f"{folder}-features").send_all(
        features, [p.relative_to(features).as_posix() for p in features.rglob("*") if p.is_file()]
    )
    job = job_of(folder, f"{folder}-features", pods={"image": None})
    store_at(f"{folder}-step").write("step.json", job.model_dump_json().encode())
    container = {
        "name": "main",
        "image": IMAGE,
        "command": ["python", "-c", LAUNCH.read_text(), f"{folder}-step", cluster.namespace],
        "env": [{"name": "STORAGE_EMULATOR_HOST", "value": os.environ["STORAGE_EMULATOR_HOST"]}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "restartPolicy": "Never",
        "serviceAccountName": "lockgate-pipeline",
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    step = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "the-step"}, "spec": spec}
    cluster.kubectl.apply(step, namespace=cluster.namespace)
    read = lambda: cluster.kubectl.get("pod", "the-step", namespace=cluster.namespace)  # noqa: E731
    name = job_name(job.project.name, job.folder)
    made = wait_for(lambda: cluster.job(name), 120, "the step's TrainJob")
    owner = made["metadata"]["ownerReferences"]
    assert [(o["kind"], o["name"]) for o in owner] == [("Pod", "the-step")]
    assert made["spec"]["trainer"]["image"] == IMAGE
    wait_for(lambda: read()["status"]["phase"] in ("Succeeded", "Failed"), 120, "the end of the step")
    said = cluster.kubectl("logs", "-n", cluster.namespace, "the-step")
    assert read()["status"]["phase"] == "Succeeded", said
    assert json.loads(said.splitlines()[-1]) == {"restarts": 0}
    done = store_at(job.folder).read(DONE)
    assert done is not None
    check_planned(LoopState.model_validate_json(done), alone, resumed=0)
    cluster.await_gone(job)
    cluster.kubectl("delete", "pod", "the-step", "-n", cluster.namespace)


def test_workers_that_no_node_takes_end_in_an_error_after_the_deadline(
    cluster: Cluster, features: Path
) -> None:
    pods = {"node_selector": {"lockgate.dev/no-such-node": "true"}}
    job = job_of(cluster.folder("unschedulable"), features, pods=pods, peer_timeout=5)
    started = time.monotonic()
    with pytest.raises(TrainingError) as raised:
        cluster.run(job)
    assert 5 <= time.monotonic() - started < 30
    assert "Not all 2 workers started within 5 seconds" in raised.value.given
    assert "worker 1: Unschedulable: 0/" in raised.value.given
    cluster.await_gone(job)


def test_one_worker_that_never_starts_ends_in_an_error_and_the_other_leaves_at_once(
    cluster: Cluster, features: Path
) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "one"}}
    names = (
        "get",
        "pods",
        "-n",
        cluster.namespace,
        "-o",
        "name",
        "--field-selector",
        "status.phase!=Succeeded",
    )
    wait_for(lambda: not cluster.kubectl(*names), ALL_GONE, "the end of other tests' pods")
    cluster.kubectl.apply({**quota, "spec": {"hard": {"pods": "1"}}}, namespace=cluster.namespace)
    try:
        read = lambda: cluster.kubectl.get("quota", "one", namespace=cluster.namespace)  # noqa: E731
        wait_for(lambda: "used" in read()["status"], 30, "the quota")
        job = job_of(cluster.folder("quota"), features, peer_timeout=12)
        with pytest.raises(TrainingError) as raised:
            cluster.run(job)
        left_at = time.monotonic()
        assert "(worker 1: there is no pod)" in raised.value.given
        assert "exceeded quota: one" in raised.value.given
        cluster.await_gone(job)
        # Well below the pods' grace: a worker that waits for its peers has nothing to save.
        assert time.monotonic() - left_at < 20
    finally:
        cluster.kubectl("delete", "quota", "one", "-n", cluster.namespace)


def test_the_users_error_appears_once_with_its_traceback_and_is_not_tried_again(
    cluster: Cluster, features: Path
) -> None:
    job = job_of(cluster.folder("broken"), features, function="broken")
    with pytest.raises(TrainingError) as raised:
        cluster.run(job)
    assert raised.value.given.count("ValueError: no such thing") == 1
    line = 1 + CODE.splitlines().index("    raise ValueError('no such thing')")
    assert f'File "own.py", line {line}' in raised.value.given
    assert not any("no such thing" in line for line in cluster.lines)
    made = cluster.kubectl.get("events", namespace=cluster.namespace)["items"]
    child = f"{job_name(job.project.name, job.folder)}-node-0"
    pods = [e for e in made if e["involvedObject"]["name"] == child and e["reason"] == "SuccessfulCreate"]
    assert sum(e.get("count") or 1 for e in pods) == 2
    cluster.await_gone(job)


def test_a_worker_without_enough_memory_is_told_of_and_not_tried_for_ever(
    cluster: Cluster, features: Path
) -> None:
    job = job_of(cluster.folder("memory"), features, pods={"memory": "160Mi"})
    with pytest.raises(TrainingError, match="was killed because it used more than 160Mi of memory") as raised:
        cluster.run(job)
    assert "cluster.training.memory" in raised.value.allowed
    cluster.await_gone(job)


def test_an_indexed_job_does_the_same_where_there_is_no_trainer(
    cluster: Cluster, killer: Killer, features: Path, alone: LoopState
) -> None:
    job = job_of(cluster.folder("indexed"), features, pods={"launcher": "job"})
    trained = cluster.run(
        job, cluster.in_mid_epoch(lambda: killer.kill(cluster.namespace, cluster.pods(job)[1]))
    )
    check_planned(trained.state, alone, resumed=1)
    assert trained.restarts == 1
    cluster.await_gone(job, "job")
    name = job_name(job.project.name, job.folder)
    assert name not in cluster.kubectl("get", "services", "-n", cluster.namespace)


def test_the_api_server_takes_all_that_project_yaml_can_ask_for(cluster: Cluster) -> None:
    pods = TrainingPods.model_validate(
        {
            "gpus": 2,
            "shared_memory": "1Gi",
            "tolerations": [
                {"key": "nvidia.com/gpu", "effect": "NoSchedule"},
                {"key": "pool", "operator": "Equal", "value": "training"},
            ],
            "node_selector": {"cloud.google.com/gke-accelerator": "nvidia-l4"},
            "queue": "training",
        }
    )
    work = Work(
        name="all-of-it",
        namespace=cluster.namespace,
        model="tiny",
        job="gs://bucket/job.json",
        job_digest="0" * 64,
        workers=3,
        image=IMAGE,
        pods=pods,
        max_restarts=3,
        grace=120.0,
        environment={},
    )
    job = indexed_job.render(work)
    service = indexed_job.render_service(work, {"metadata": {"uid": "1"}})
    for made in (trainjob.render(work), job, service):
        said = cluster.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps(made))
        taken = json.loads(said)
        assert taken["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "training"
        assert taken["spec"].get("suspend", True) is True


def test_a_search_in_a_bucket_goes_on_where_it_was_interrupted(cluster: Cluster, features: Path) -> None:
    job = job_of(cluster.folder("search"), features, workers=1, shards=1)
    tune = {"trials": 2, "epochs": 1, "space": {"train.learning_rate": {"values": [0.001, 0.02]}}}
    project = job.project.model_copy(update={"tune": Tuning.model_validate(tune)})
    told: list[Trial] = []

    def interrupt(trial: Trial) -> None:
        told.append(trial)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(project, job.code, features, job.folder, interrupt)
    assert store_at(job.folder).names() == ["trials.journal"]
    found = search(project, job.code, features, job.folder, told.append)
    assert [t.number for t in told] == [0, 1]
    assert found.trials == tuple(told)
    assert store_at(job.folder).names() == []


def test_processes_of_one_machine_train_in_a_bucket_too(
    cluster: Cluster, features: Path, alone: LoopState
) -> None:
    job = job_of(cluster.folder("processes"), features)
    trained = execute(job, lambda _: None)
    check_planned(trained.state, alone, resumed=0)
    assert len(trained.weights) == 4


def test_a_finished_training_is_not_started_again(cluster: Cluster, features: Path, alone: LoopState) -> None:
    job = job_of(cluster.folder("done"), features)
    store_at(job.folder).write(DONE, alone.model_dump_json().encode())
    Archive(store_at(job.folder)).keep(features.parent / "alone", PLANNED, has_new_best=True)
    trained = cluster.run(job)
    assert trained.state == alone
    assert cluster.lines == []
