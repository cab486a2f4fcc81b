"""`python -m bench.bare_kserve MODEL_FOLDER PORT`: the model in a plain KServe `Model`, all settings default.

It decodes no more than it must, and checks nothing. Only the address differs from KServe's defaults: this
machine alone, and no gRPC beside it.
"""

import sys
from pathlib import Path
from typing import Any

_words, sys.argv = sys.argv, sys.argv[:1]  # KServe reads the command line when it is imported

import kserve  # noqa: E402
import tensorflow as tf  # noqa: E402

from lockgate.training.spec import ModelSpec  # noqa: E402

TYPES = {"number": tf.float32, "category": tf.string, "date": tf.int64}


class Bare(kserve.Model):  # type: ignore[misc]
    """Calls the exported signature with one tensor a column."""

    def __init__(self, folder: Path) -> None:
        super().__init__("bench")
        self._columns = ModelSpec.load(folder / "model.json").inputs
        self._loaded = tf.saved_model.load(str(folder / "saved_model"))
        self._signature = self._loaded.signatures["serving_default"]
        self.ready = True

    def predict(self, payload: dict[str, Any], headers: dict[str, str] | None = None) -> dict[str, Any]:  # noqa: ARG002
        """One call of the signature for each request."""
        rows = payload["instances"]
        tensors = {c.tensor: tf.constant([row[c.name] for row in rows], TYPES[c.kind]) for c in self._columns}
        outputs = self._signature(**tensors)
        return {"predictions": outputs["probability"].numpy().tolist()}


class Loopback(kserve.ModelServer):  # type: ignore[misc]
    """KServe's server, on this machine alone."""

    async def _serve(self) -> None:
        self._rest_server.config.host = "127.0.0.1"
        await super()._serve()


if __name__ == "__main__":
    Loopback(http_port=int(_words[2]), enable_grpc=False).start([Bare(Path(_words[1]))])
