"""Trainings for the tests on a cluster: small, and slow enough in a pod to be met in mid-epoch."""

import os
from pathlib import Path
from typing import Any

from lockgate.project import Project
from lockgate.training.job import Job
from tests.cluster.conftest import TAG

IMAGE = os.environ.get("LOCKGATE_TEST_TRAINER", f"docker.io/lockgate/trainer:{TAG}")
ROWS = {"train": 4096, "tune": 512}
STEPS = 128  # of an epoch
EPOCHS = 2
CHECKPOINT = 16

# The same network everywhere; in a pod every step takes at least 50 ms.
CODE = """
import os
import time

import keras
import tensorflow as tf


def wait(numbers):
    if "KUBERNETES_SERVICE_HOST" in os.environ and len(numbers) <= 16:
        time.sleep(0.05)
    return numbers


class Slow(keras.layers.Layer):
    def call(self, numbers):
        same = tf.numpy_function(wait, [numbers], tf.float32)
        same.set_shape(numbers.shape)
        return same


def network(inputs, project):
    merged = keras.layers.Concatenate()([Slow()(inputs["numbers"]), keras.ops.one_hot(inputs["c"], 5)])
    return keras.layers.Dense(1)(keras.layers.Dense(8, activation="relu")(merged))


def broken(inputs, project):
    raise ValueError('no such thing')
"""


def job_of(
    folder: str,
    features: Path | str,
    *,
    function: str = "network",
    pods: dict[str, Any] | None = None,
    **train: Any,
) -> Job:
    """A training of two workers in pods; settings of `train` and of `cluster.training` may be changed."""
    settings = {
        "workers": 2,
        "shards": 2,
        "epochs": EPOCHS,
        "batch_size": 32,
        "patience": 0,
        "learning_rate": 0.01,
        "checkpoint_steps": CHECKPOINT,
        "peer_timeout": 60,
        "step_timeout": 30,
        **train,
    }
    given = {"cpu": "100m", "memory": "1536Mi", "image": IMAGE, **(pods or {})}
    project = Project.model_validate(
        {
            "name": "tiny",
            "task": "binary",
            "data": {"source": "x", "label": "y"},
            "model": {"function": f"own.py:{function}"},
            "train": settings,
            "cluster": {"training": given},
        }
    )
    return Job(project=project, code={"own.py": CODE}, features=str(features), folder=folder)
