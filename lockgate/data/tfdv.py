"""The port to TensorFlow Data Validation: infers, updates and checks schemas in a process of its own."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from lockgate.errors import ConfigError, LockgateError

PYTHON_VARIABLE = "LOCKGATE_TFDV_PYTHON"
WORKER = Path(__file__).with_name("tfdv_worker.py")
LARGEST_DOMAIN = 100


class Tfdv:
    """Questions to TFDV; each call is one process.

    Args:
        python: the Python that has TFDV, by default the one that `python_with_tfdv` finds.
        public_api: go through TFDV's Python package, which takes seconds, not its compiled part alone.
    """

    def __init__(self, python: Path | None = None, public_api: bool = False) -> None:
        self._python = python or python_with_tfdv()
        self._flags = ["--public-api"] if public_api else []

    def infer(self, dataset: Any) -> Any:
        """The schema that TFDV infers from one dataset's statistics."""
        from tensorflow_metadata.proto.v0 import schema_pb2

        (answer,) = self.ask([{"do": "infer", "dataset": dataset}])
        return schema_pb2.Schema.FromString(answer)

    def update(self, schema: Any, dataset: Any) -> Any:
        """The schema, widened as far as needed to allow the dataset."""
        from tensorflow_metadata.proto.v0 import schema_pb2

        (answer,) = self.ask([{"do": "update", "dataset": dataset, "schema": schema}])
        return schema_pb2.Schema.FromString(answer)

    def validate(self, schema: Any, datasets: list[Any]) -> list[Any]:
        """The `Anomalies` of each dataset against the schema."""
        from tensorflow_metadata.proto.v0 import anomalies_pb2

        requests = [{"do": "validate", "dataset": dataset, "schema": schema} for dataset in datasets]
        return [anomalies_pb2.Anomalies.FromString(answer) for answer in self.ask(requests)]

    def ask(self, requests: list[dict[str, Any]]) -> list[bytes]:
        """The answers to requests as `tfdv_worker` describes them, with protos in place of paths.

        Raises:
            LockgateError: TFDV failed.
        """
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            told = [self._written(folder, i, request) for i, request in enumerate(requests)]
            (folder / "requests.json").write_text(json.dumps(told))
            command = [str(self._python), str(WORKER), str(folder / "requests.json"), *self._flags]
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())
            if done.returncode:
                last = done.stderr.strip().splitlines()[-1:] or ["no message"]
                raise LockgateError(
                    f"TensorFlow Data Validation failed with exit code {done.returncode}: {last[0]}.",
                    f"It runs in {self._python}.",
                    "Set it up again with `make`.",
                )
            return [Path(request["output"]).read_bytes() for request in told]

    @staticmethod
    def _written(folder: Path, number: int, request: dict[str, Any]) -> dict[str, Any]:
        told = {"do": request["do"], "domain": LARGEST_DOMAIN, "output": str(folder / f"{number}.answer.pb")}
        for name in ("dataset", "schema"):
            if name in request:
                path = folder / f"{number}.{name}.pb"
                path.write_bytes(request[name].SerializeToString())
                told[name] = str(path)
        return told


def python_with_tfdv() -> Path:
    """The Python that has TFDV: this one, the one that `LOCKGATE_TFDV_PYTHON` names, or `.venv-tfdv`'s.

    Raises:
        ConfigError: there is none.
    """
    if importlib.util.find_spec("tensorflow_data_validation") is not None:
        return Path(sys.executable)
    beside = Path(sys.prefix).parent / ".venv-tfdv" / "bin" / "python"
    for candidate in (Path(os.environ.get(PYTHON_VARIABLE) or beside), beside):
        if candidate.exists():
            return candidate
    raise ConfigError(
        "TensorFlow Data Validation was not found, neither here nor in "
        f"{os.environ.get(PYTHON_VARIABLE) or beside}.",
        "The data gate needs it; its wheels are for Linux with Python 3.9 to 3.11, or glibc 2.39 and newer.",
        "Run `make` to set it up, or run the step in the container image lockgate-data, which has it.",
    )


def _environment() -> dict[str, str]:
    """Without what would lead the other Python to this one's packages."""
    return {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
