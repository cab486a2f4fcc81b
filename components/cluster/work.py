"""A training as the cluster is to see it: what is rendered into a TrainJob or an Indexed Job."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lockgate.project.cluster import TrainingPods
from lockgate.records import digest_of

PORT = 2222
NODE = "node"
ROLE = "trainer"
# Beyond the time of saving: for TensorFlow to notice, and for the upload.
EXTRA_GRACE = 30
PART_OF = {"app.kubernetes.io/part-of": "lockgate", "app.kubernetes.io/component": ROLE}
MODEL_LABEL = "lockgate.dev/model"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
SPEC_ANNOTATION = "lockgate.dev/spec"


@dataclass(frozen=True)
class Work:
    """All that decides what the cluster runs.

    Args:
        name: of the job, its service and, with the worker's index, of the pods' hosts.
        namespace: where it runs.
        model: the project's name.
        job: the address of the job's file.
        job_digest: of its content.
        workers: how many pods.
        image: of the pods.
        pods: cluster.training of project.yaml.
        max_restarts: train.max_restarts.
        grace: seconds that a worker has to save.
        environment: passed to the workers.
        owner: an ownerReference, in the same namespace; the job goes when the owner goes.
    """

    name: str
    namespace: str
    model: str
    job: str
    job_digest: str
    workers: int
    image: str
    pods: TrainingPods
    max_restarts: int
    grace: float
    environment: Mapping[str, str]
    owner: Mapping[str, Any] | None = None

    @property
    def child(self) -> str:
        """The name of the batch Job: that which JobSet gives it, also where Lockgate makes it."""
        return f"{self.name}-{NODE}-0"

    @property
    def grace_seconds(self) -> int:
        """The pods' terminationGracePeriodSeconds."""
        return math.ceil(self.grace) + EXTRA_GRACE

    def metadata(self, spec: Mapping[str, Any], name: str | None = None) -> dict[str, Any]:
        """Metadata of an object with this spec; the annotation tells whether one there is the same."""
        labels = {**PART_OF, MODEL_LABEL: label_of(self.model)}
        if self.pods.queue:
            labels[QUEUE_LABEL] = self.pods.queue
        found: dict[str, Any] = {
            "name": name or self.name,
            "namespace": self.namespace,
            "labels": labels,
            "annotations": {SPEC_ANNOTATION: digest_of([spec, labels, self.job_digest])[:32]},
        }
        if self.owner is not None:
            found["ownerReferences"] = [dict(self.owner)]
        return found


def job_name(model: str, folder: str) -> str:
    """A name for the training in a folder: always the same one, for a step that is started again to find.

    With JobSet's suffixes it stays below 63 characters, the most that a host's name may have.
    """
    plain = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")
    start = plain[:30].strip("-")
    if not start[:1].isalpha():
        start = f"m-{start}".strip("-")
    return f"{start}-{digest_of(folder)[:10]}"


def label_of(model: str) -> str:
    """A project's name as the value of a label."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", model)[:63].strip("-_.")
