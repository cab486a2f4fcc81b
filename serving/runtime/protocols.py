"""Prediction requests as bytes to packed rows, and answers to bytes: the short way of both protocols.

What is not plainly of V2's form (binary tensors, chosen outputs, parameters, faults) takes the long way,
through KServe's own application, and is answered or refused there.
"""

import json
from typing import Any

import orjson

from lockgate.shipping.decode import RequestError
from lockgate.shipping.packing import Packed, Packing
from serving.runtime.batcher import Slice
from serving.runtime.requests import Input, datatype, from_v1, from_v2

V2_KEYS = frozenset({"inputs", "id"})
INPUT_KEYS = frozenset({"name", "shape", "datatype", "data"})


class NotPlain(Exception):
    """The request is left to KServe's own application."""


class V1:
    """{"instances": [row, …]} to {"predictions": [answer, …]}."""

    name = "v1"

    def __init__(self, packing: Packing, max_rows: int) -> None:
        self._packing = packing
        self._max_rows = max_rows

    def read(self, body: bytes) -> tuple[Packed, str]:
        """The rows of a request, and its id, which V1 has not.

        Raises:
            RequestError: the request is not allowed.
        """
        return from_v1(loads(body), self._packing, self._max_rows), ""

    def write(self, answer: Slice, _: str) -> bytes:
        """The answer as JSON."""
        return orjson.dumps({"predictions": answer.predictions()})


class V2:
    """{"inputs": [tensor, …]} to {"outputs": [tensor, …]}."""

    name = "v2"

    def __init__(self, packing: Packing, max_rows: int, model: str) -> None:
        self._packing = packing
        self._max_rows = max_rows
        self._model = model

    def read(self, body: bytes) -> tuple[Packed, str]:
        """The rows of a request, and its id.

        Raises:
            NotPlain: the request needs the long way.
            RequestError: the request is not allowed.
        """
        try:
            request = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise NotPlain from None
        if (
            type(request) is not dict
            or not request.keys() <= V2_KEYS
            or type(request.get("inputs")) is not list
        ):
            raise NotPlain
        named = request.get("id", "")
        if type(named) is not str or not request["inputs"]:
            raise NotPlain
        return from_v2([_input(each) for each in request["inputs"]], self._packing, self._max_rows), named

    def write(self, answer: Slice, named: str) -> bytes:
        """The answer as JSON."""
        outputs = [
            {
                "name": name,
                "shape": list(values.shape),
                "datatype": datatype(values),
                "data": values.ravel().tolist(),
            }
            for name, values in answer.columns().items()
        ]
        return orjson.dumps({"model_name": self._model, "id": named, "outputs": outputs})


def _input(given: Any) -> Input:
    if type(given) is not dict or given.keys() != INPUT_KEYS:
        raise NotPlain
    each = Input(**given)
    if type(each.name) is not str or type(each.datatype) is not str or type(each.shape) is not list:
        raise NotPlain
    if not set(map(type, each.shape)) <= {int}:
        raise NotPlain
    return each


def loads(body: bytes) -> Any:
    """The JSON value of a body; NaN and Infinity, which JSON has not, are read: their column is named later.

    Raises:
        RequestError: it is no JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return lenient(body, str(error))


def lenient(body: bytes, reason: str) -> Any:
    """What Python's own reader makes of a body that another reader refused for `reason`.

    Raises:
        RequestError: it cannot read the body either.
    """
    try:
        return json.loads(body)
    except (TypeError, ValueError, RecursionError):
        raise RequestError("The request cannot be read:", reason) from None
