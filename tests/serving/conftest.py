"""A small model with the exported signature: a number, a category and a date; odd names and all."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from lockgate.features.raw import raw_columns
from lockgate.shipping.server import command, environment, stop, wait_until_ready
from lockgate.training.spec import OUTPUTS, ModelSpec

COLUMNS = raw_columns({"distance": "number", "carrier": "category", "Zeit é": "date"})


def export(folder: Path, task: str = "binary", bias: float = 0.0) -> Path:
    """Writes saved_model/ and model.json: a score that depends on every input, on missing ones too.

    The carrier "poison" makes the score NaN.
    """
    import tensorflow as tf

    types = {"number": tf.float32, "category": tf.string, "date": tf.int64}

    class Model(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bias = tf.Variable(bias)

        @tf.function(input_signature=[tf.TensorSpec([None], types[c.kind], name=c.tensor) for c in COLUMNS])
        def score(self, number, category, date):
            known = tf.where(tf.math.is_finite(number), tf.clip_by_value(number, -3e3, 3e3) / 1e3, 0.3)
            place = tf.cast(tf.strings.to_hash_bucket_fast(category, 97), tf.float32) / 97
            hour = tf.cast(tf.math.floormod(date, 86400), tf.float32) / 86400
            poison = tf.where(category == "poison", float("nan"), 0.0)
            total = known + place + hour + self.bias + poison
            if task == "multiclass":
                return {"probabilities": tf.nn.softmax(tf.stack([total, 1 - total, total * 0.5], axis=1))}
            return {OUTPUTS[task]: tf.sigmoid(total - 1) if task == "binary" else total * 1e3}

    model = Model()
    tf.saved_model.save(model, str(folder / "saved_model"), signatures={"serving_default": model.score})
    classes = {"binary": ("false", "true"), "multiclass": ("Adélie", "b", "c"), "regression": ()}[task]
    ModelSpec(
        name="tiny", task=task, label="late", classes=classes, inputs=COLUMNS, output=OUTPUTS[task],
        snapshot="0" * 64, metric="roc_auc", rows=10, parameters=1,
    ).save(folder / "model.json")  # fmt: skip
    return folder


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """Exports a model once for each task and bias."""
    made: dict[tuple[str, float], Path] = {}

    def get(task: str = "binary", bias: float = 0.0) -> Path:
        if (task, bias) not in made:
            made[task, bias] = export(tmp_path_factory.mktemp(f"{task}-model"), task, bias)
        return made[task, bias]

    return get


@pytest.fixture(scope="session")
def path_of():
    """Training's path for such a model: its signature, called on encoded rows without a server."""
    from lockgate.features.raw import encode

    def get(folder: Path):
        import tensorflow as tf

        loaded = tf.saved_model.load(str(folder / "saved_model"))
        spec = ModelSpec.load(folder / "model.json")
        signature = loaded.signatures["serving_default"]

        def path(frame, _keep=loaded):
            tensors = encode(frame, spec.inputs)
            return signature(**{n: tf.constant(v) for n, v in tensors.items()})[spec.output].numpy()

        return path

    return get


@dataclass
class Started:
    """A server process, its port on 127.0.0.1, and what it has written."""

    process: subprocess.Popen
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def started(folder: Path, log: Path, *options: str, env: dict[str, str] | None = None) -> Iterator[Started]:
    """Serves a folder as "tiny" with these options until the context ends; kills what does not stop."""
    with socket.socket() as bound, log.open("wb") as said:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        process = subprocess.Popen(
            command(folder, "tiny", ["--fd", str(bound.fileno()), *options]),
            pass_fds=[bound.fileno()], stdout=said, stderr=said, env={**environment(), **(env or {})},
        )  # fmt: skip
    try:
        why = wait_until_ready(process, f"http://127.0.0.1:{port}/v2/models/tiny/ready", 120)
        assert not why, f"{why}: {log.read_text()}"
        yield Started(process, port, log)
    finally:
        stop(process, 40)


@pytest.fixture(scope="module")
def serve():
    """`started`, for tests, which cannot import from here."""
    return started
