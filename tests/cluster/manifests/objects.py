"""Objects that the tests of the manifests put to the API server, and its answers."""

import copy
import subprocess
from typing import Any

import pytest
import yaml

from components.cluster.work import Work
from lockgate.project.cluster import TrainingPods
from lockgate.shipping.revision import Revision, revision_of
from tests.cluster.conftest import TAG
from tests.cluster.kube import Kubectl
from tests.manifests.built import CLUSTER_WIDE
from tests.unit.revisions import card, project

Object = dict[str, Any]


def moved(original: Object, namespace: str) -> Object:
    """The same object for another namespace; one over the whole cluster gets a name of its own."""
    changed = copy.deepcopy(original)
    metadata = changed["metadata"]
    if original["kind"] == "Namespace":
        metadata["name"] = namespace
    elif original["kind"] in CLUSTER_WIDE:
        metadata["name"] += f"-{namespace}"
    else:
        metadata["namespace"] = namespace
    for subject in changed.get("subjects", ()):
        subject["namespace"] = namespace
    if original["kind"] == "ValidatingAdmissionPolicyBinding":
        changed["spec"]["policyName"] += f"-{namespace}"
        selector = changed["spec"]["matchResources"]["namespaceSelector"]
        selector["matchLabels"] = {"kubernetes.io/metadata.name": namespace}
    return changed


def stream(*objects: Object) -> str:
    return yaml.safe_dump_all(objects)


def work(**changed: Any) -> Work:
    given = {
        "name": "flights-1", "namespace": "", "model": "flights", "job": "gs://bucket/job.json",
        "job_digest": "1" * 64, "workers": 2, "image": f"docker.io/lockgate/trainer:{TAG}",
        "pods": TrainingPods(shared_memory="64Mi"), "max_restarts": 3, "grace": 30.0, "environment": {},
    }  # fmt: skip
    return Work(**{**given, **changed})


def pod(spec: Object, namespace: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": namespace},
        "spec": spec,
    }


def refused(kubectl: Kubectl, thing: Object, *words: str) -> str:
    """Why the server does not take an object; fails where it would."""
    with pytest.raises(subprocess.CalledProcessError) as caught:
        kubectl("create", "--dry-run=server", "-f", "-", *words, stdin=stream(thing))
    return str(caught.value.stderr)


def is_taken(kubectl: Kubectl, thing: Object, *words: str) -> bool:
    """Whether the server would take an object; a policy is in force some moments after it is there."""
    try:
        taken(kubectl, thing, *words)
    except subprocess.CalledProcessError:
        return False
    return True


def taken(kubectl: Kubectl, thing: Object, *words: str) -> str:
    return kubectl("create", "--dry-run=server", "-f", "-", *words, stdin=stream(thing))


def revision(namespace: str, **changed: Any) -> Revision:
    ours = project(replicas=1)
    ours = ours.model_copy(update={"cluster": ours.cluster.model_copy(update={"namespace": namespace})})
    return revision_of(card(**changed), ours, "gs://nowhere/models", {})
