"""A client of a model server: KServe's V1 and V2 protocols over one kept connection."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import polars as pl

from lockgate.errors import ServingError
from lockgate.features.raw import RawColumn
from lockgate.shipping.record import Protocol
from lockgate.shipping.rows import json_values, v1_instances, v2_inputs
from lockgate.training.spec import ModelSpec

Answers = dict[str, npt.NDArray[Any]]


class Client:
    """Sends rows to one model.

    Args:
        http: a client whose base URL is the server's.
        spec: of the model that is served.
        name: the model's name in the URL.
    """

    def __init__(self, http: httpx.Client, spec: ModelSpec, name: str) -> None:
        self._http = http
        self._spec = spec
        self._paths = {"v1": f"/v1/models/{name}:predict", "v2": f"/v2/models/{name}/infer"}

    def send(self, protocol: Protocol, body: bytes) -> httpx.Response:
        """Sends a body as it is.

        Raises:
            ServingError: the server does not answer at all.
        """
        try:
            headers = {"content-type": "application/json"}
            return self._http.post(self._paths[protocol], content=body, headers=headers)
        except httpx.HTTPError as error:
            raise ServingError(
                f"The model server does not answer: {str(error) or type(error).__name__}."
            ) from None

    def answers(self, protocol: Protocol, frame: pl.DataFrame) -> Answers | str:
        """The model's answers for the rows, by name: arrays over the rows; or the words of its refusal.

        Raises:
            ServingError: the server does not answer at all.
        """
        response = self.send(protocol, self.body(protocol, frame))
        if response.status_code != httpx.codes.OK:
            return f"status {response.status_code}: {response.text[:300]}"
        read = _read_v1 if protocol == "v1" else _read_v2
        return read(response.json(), self._spec)

    def body(self, protocol: Protocol, frame: pl.DataFrame) -> bytes:
        """The rows as a request of the protocol."""
        inputs: Sequence[RawColumn] = self._spec.inputs
        if protocol == "v1":
            return _json({"instances": v1_instances(json_values(frame, inputs))})
        return _json({"inputs": v2_inputs(frame, inputs)})

    def latencies(self, bodies: Sequence[bytes]) -> npt.NDArray[np.float64]:
        """Milliseconds that each V1 request took, one after the other.

        Raises:
            ServingError: a request was refused.
        """
        taken = []
        for body in bodies:
            started = time.perf_counter()
            response = self.send("v1", body)
            taken.append((time.perf_counter() - started) * 1e3)
            if response.status_code != httpx.codes.OK:
                raise ServingError(f"A request of one real row was refused: {response.text[:300]}")
        return np.array(taken)


@contextmanager
def connected(url: str, spec: ModelSpec, name: str, timeout: float = 60.0) -> Iterator[Client]:
    """A client with one kept connection; proxies of the environment are not asked."""
    with httpx.Client(base_url=url, timeout=timeout, trust_env=False) as http:
        yield Client(http, spec, name)


def _json(value: object) -> bytes:
    import orjson

    return orjson.dumps(value)


def _read_v1(body: Any, spec: ModelSpec) -> Answers:
    rows = body["predictions"]
    answered: Answers = {}
    for name in rows[0]:
        if name == "probabilities":
            values = [[row[name][c] for c in spec.classes] for row in rows]
        else:
            values = [row[name] for row in rows]
        answered[name] = np.array(values, dtype=_dtype(name))
    return answered


def _read_v2(body: Any, spec: ModelSpec) -> Answers:  # noqa: ARG001 - the same form as `_read_v1`
    return {
        output["name"]: np.array(output["data"], dtype=_dtype(output["name"])).reshape(output["shape"])
        for output in body["outputs"]
    }


def _dtype(name: str) -> Any:
    return {"label": object, "decision": bool}.get(name, np.float32)
