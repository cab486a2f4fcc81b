"""What the namespace's Pod Security, policies and quota let in, and what they refuse."""

import subprocess

import pytest

from components.cluster import indexed_job, trainjob
from tests.cluster.kube import wait_for
from tests.cluster.manifests.objects import is_taken, pod, refused, revision, taken, work


def test_pod_security_refuses_what_is_privileged(kubectl, place):
    plain = {"containers": [{"name": "a", "image": "docker.io/lockgate/trainer:dev"}]}
    assert "violates PodSecurity" in refused(kubectl, pod(plain, place))
    spec = indexed_job.render(work(namespace=place))["spec"]["template"]["spec"]
    assert "pod/p created" in taken(kubectl, pod(spec, place))
    for change in (
        {"hostNetwork": True},
        {"hostPID": True},
        {"volumes": [*spec["volumes"], {"name": "host", "hostPath": {"path": "/"}}]},
        {"containers": [{**spec["containers"][0], "securityContext": {"privileged": True}}]},
        {"securityContext": {"runAsUser": 0, "seccompProfile": {"type": "RuntimeDefault"}}},
    ):
        assert "violates PodSecurity" in refused(kubectl, pod({**spec, **change}, place)), change


def test_the_workers_of_a_trainjob_are_taken(kubectl, place, base):
    (runtime,) = [o for o in base if o["kind"] == "ClusterTrainingRuntime"]
    (job,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    assert "created" in taken(kubectl, pod(job["template"]["spec"]["template"]["spec"], place))
    pipeline = f"--as=system:serviceaccount:{place}:lockgate-pipeline"
    assert "created" in taken(kubectl, trainjob.render(work(namespace=place)), pipeline)
    assert "created" in taken(kubectl, indexed_job.render(work(namespace=place)), pipeline)


def test_a_job_may_not_lend_itself_another_account(kubectl, place):
    pipeline = f"--as=system:serviceaccount:{place}:lockgate-pipeline"
    job = indexed_job.render(work(namespace=place))
    for account in ("lockgate-push", "lockgate-controller", "default"):
        job["spec"]["template"]["spec"]["serviceAccountName"] = account
        for who in ((pipeline,), ()):
            assert "run as the service account lockgate-trainer" in refused(kubectl, job, *who)
    del job["spec"]["template"]["spec"]["serviceAccountName"]
    assert "run as the service account lockgate-trainer" in refused(kubectl, job)


def test_a_model_is_taken_from_push_and_may_not_lend_itself_another_account(kubectl, place):
    push = f"--as=system:serviceaccount:{place}:lockgate-push"
    service = revision(place).service
    assert "created" in taken(kubectl, service, push)
    assert "created" in taken(kubectl, revision(place).route, push)
    service["spec"]["predictor"]["serviceAccountName"] = "lockgate-controller"
    assert "served by the service account lockgate-serving" in refused(kubectl, service, push)
    service["spec"]["predictor"]["serviceAccountName"] = "lockgate-serving"
    service["spec"]["transformer"] = {"containers": [{"name": "kserve-container", "image": "shell:1"}]}
    assert "has a predictor and no other pods" in refused(kubectl, service, push)


def test_steps_open_no_port_to_the_outside(kubectl, place):
    pipeline = f"--as=system:serviceaccount:{place}:lockgate-pipeline"
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s", "namespace": place},
        "spec": {"clusterIP": "None", "selector": {"a": "b"}, "ports": [{"port": 2222}]},
    }
    assert "created" in taken(kubectl, service, pipeline)
    for kind in ("NodePort", "LoadBalancer"):
        service["spec"] = {"type": kind, "selector": {"a": "b"}, "ports": [{"port": 2222}]}
        assert "exceeded quota" in refused(kubectl, service, pipeline)


def test_the_controller_keeps_its_memory_and_no_other_configmap(kubectl, place):
    controller = f"--as=system:serviceaccount:{place}:lockgate-controller"

    def configmap(name):
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": place}}

    wait_for(lambda: not is_taken(kubectl, configmap("a"), controller), 60, "the policy on ConfigMaps")
    assert "writes the ConfigMaps MODEL-rollout" in refused(kubectl, configmap("a"), controller)
    assert "created" in taken(kubectl, configmap("flights-rollout"), controller)
    assert "created" in taken(kubectl, configmap("a"))
    kubectl.apply(configmap("mine"), configmap("flights-rollout"))
    words = ("patch", "configmap", "-n", place, "-p", '{"data": {"a": "b"}}', controller)
    with pytest.raises(subprocess.CalledProcessError, match="writes the ConfigMaps MODEL-rollout"):
        kubectl(*words, "mine")
    kubectl(*words, "flights-rollout")
