import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.cluster import indexed_job, pods, trainjob
from components.cluster.work import SPEC_ANNOTATION, Work, job_name
from lockgate.project.cluster import TrainingPods
from lockgate.training.peers import INDEX, addresses_of, pod_config

RUNTIME = Path(__file__).parents[2] / "manifests" / "base" / "training-runtime.yaml"
OWNER = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "name": "run-1", "uid": "u"}
ALL = {
    "cpu": "4",
    "memory": "16Gi",
    "gpus": 2,
    "shared_memory": "1Gi",
    "tolerations": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}],
    "node_selector": {"pool": "gpu"},
    "queue": "training",
}


def work_of(given: dict[str, Any] | None = None, **more: Any) -> Work:
    settings: dict[str, Any] = {
        "name": "flights-0123456789",
        "namespace": "lockgate",
        "model": "flights",
        "job": "gs://bucket/checkpoints/k/job.json",
        "job_digest": "0" * 64,
        "workers": 3,
        "image": "docker.io/lockgate/trainer:1",
        "max_restarts": 4,
        "grace": 120.0,
        "environment": {"STORAGE_EMULATOR_HOST": "http://storage:4443"},
        "owner": OWNER,
        **more,
    }
    return Work(pods=TrainingPods.model_validate(given or {}), **settings)


def pod_of(rendered: dict[str, Any]) -> dict[str, Any]:
    """The pod's spec that a TrainJob patches, or that a Job has."""
    if rendered["kind"] == "Job":
        return rendered["spec"]["template"]["spec"]
    patch = rendered["spec"]["runtimePatches"][0]["trainingRuntimeSpec"]["template"]["spec"]
    return patch["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]


@pytest.mark.parametrize("render", [trainjob.render, indexed_job.render])
def test_all_that_project_yaml_asks_for_is_in_the_object(render: Any) -> None:
    rendered = render(work_of(ALL))
    pod = pod_of(rendered)
    assert pod["nodeSelector"] == {"pool": "gpu"}
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}} in pod["volumes"]
    mounts = pod["containers"][0]["volumeMounts"]
    assert {"name": "shared-memory", "mountPath": "/dev/shm"} in mounts
    assert pod["terminationGracePeriodSeconds"] == 150
    spec = rendered["spec"]
    resources = (
        spec["trainer"]["resourcesPerNode"] if "trainer" in spec else pod["containers"][0]["resources"]
    )
    assert resources["requests"] == {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "2"}
    assert resources["limits"] == {"memory": "16Gi", "nvidia.com/gpu": "2"}
    assert rendered["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "training"
    assert spec["suspend"] is True
    assert rendered["metadata"]["ownerReferences"] == [OWNER]


@pytest.mark.parametrize("render", [trainjob.render, indexed_job.render])
def test_what_is_not_asked_for_is_not_there(render: Any) -> None:
    rendered = render(work_of(owner=None))
    assert not {"nodeSelector", "tolerations"} & set(pod_of(rendered))
    assert "shared-memory" not in str(rendered)
    assert "nvidia" not in str(rendered)
    assert "suspend" not in rendered["spec"]
    assert "ownerReferences" not in rendered["metadata"]
    assert "kueue.x-k8s.io/queue-name" not in rendered["metadata"]["labels"]


def test_a_trainjob_names_the_runtime_of_the_manifests_and_fills_it_in() -> None:
    runtime = yaml.safe_load(RUNTIME.read_text())
    spec = trainjob.render(work_of())["spec"]
    assert spec["runtimeRef"]["name"] == runtime["metadata"]["name"]
    assert spec["trainer"]["numNodes"] == 3
    assert spec["trainer"]["args"] == ["gs://bucket/checkpoints/k/job.json"]
    patched = spec["runtimePatches"][0]["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    there = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    assert [j["name"] for j in patched] == [j["name"] for j in there]


def test_the_runtime_and_the_indexed_job_run_the_same_pod() -> None:
    job = indexed_job.render(work_of())["spec"]
    template = yaml.safe_load(RUNTIME.read_text())["spec"]["template"]["spec"]["replicatedJobs"][0][
        "template"
    ]
    same = ("completionMode", "podReplacementPolicy", "podFailurePolicy")
    assert {key: job[key] for key in same} == {key: template["spec"][key] for key in same}
    ours, theirs = (spec["template"]["spec"] for spec in (job, template["spec"]))
    # A TrainJob sets these; JobSet sets the subdomain.
    set_later = {"image", "args", "env", "resources"}
    (our,), (their,) = ours.pop("containers"), theirs.pop("containers")
    assert {k: v for k, v in our.items() if k not in set_later} == {
        k: v for k, v in their.items() if k not in set_later
    }
    assert all(variable in our["env"] for variable in their["env"])
    ours.pop("subdomain")
    assert ours == theirs
    assert (
        template["spec"]["template"]["metadata"]["labels"].items()
        <= job["template"]["metadata"]["labels"].items()
    )


def test_kubernetes_restarts_a_worker_of_an_indexed_job_as_often_as_allowed() -> None:
    spec = indexed_job.render(work_of())["spec"]
    assert spec["completions"] == spec["parallelism"] == 3
    assert spec["backoffLimitPerIndex"] == 4
    assert spec["maxFailedIndexes"] == 0


def test_the_service_selects_the_jobs_pods_and_goes_with_it() -> None:
    work = work_of()
    service = indexed_job.render_service(work, {"metadata": {"uid": "j"}})
    assert service["metadata"]["name"] == pods.pod_spec(work)["subdomain"] == work.name
    assert service["metadata"]["ownerReferences"] == [
        {"apiVersion": "batch/v1", "kind": "Job", "name": work.child, "uid": "j"}
    ]
    assert service["spec"]["selector"] == {"batch.kubernetes.io/job-name": work.child}
    assert service["spec"]["publishNotReadyAddresses"] is True


def test_workers_find_each_other_by_the_names_that_the_cluster_gives_them() -> None:
    variables = {v["name"]: v["value"] for v in pods.environment(work_of())}
    config = pod_config({**variables, INDEX: "2"})
    name = "flights-0123456789"
    assert addresses_of(config) == tuple(f"{name}-node-0-{i}.{name}:2222" for i in range(3))
    assert '"index": 2' in str(config)
    assert variables["STORAGE_EMULATOR_HOST"] == "http://storage:4443"


def test_one_worker_alone_has_no_cluster() -> None:
    variables = {v["name"]: v["value"] for v in pods.environment(work_of(workers=1))}
    assert pod_config({**variables, INDEX: "0"}) is None


@pytest.mark.parametrize("model", ["flights", "A Model with a very, very long name: ümlauts", "3d", "-x-"])
def test_a_name_is_the_same_for_the_same_folder_and_fits_a_host(model: str) -> None:
    name = job_name(model, "gs://b/checkpoints/k")
    assert name == job_name(model, "gs://b/checkpoints/k") != job_name(model, "gs://b/checkpoints/l")
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name)
    # A pod of an Indexed Job has its index and five letters more.
    assert len(f"{name}-node-0-9999-abcde") <= 63


def test_another_spec_is_noticed_and_another_owner_is_none() -> None:
    def mark(work: Work) -> str:
        return trainjob.render(work)["metadata"]["annotations"][SPEC_ANNOTATION]

    assert mark(work_of()) == mark(work_of(owner=None))
    others = [work_of(image="x"), work_of(job_digest="1" * 64), work_of(workers=2), work_of(ALL)]
    assert len({mark(w) for w in (work_of(), *others)}) == 5
