"""Requests of KServe's two protocols to raw tensors, and answers back; knows no TensorFlow."""

import math
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from kserve import InferInput, InferOutput, InferRequest, InferResponse

from lockgate.data.columns import Kind
from lockgate.features.raw import RawColumn
from lockgate.shipping.decode import (
    RequestError,
    Tensor,
    check_names,
    decode_column,
    decode_rows,
    json_type,
)

DATATYPES: Mapping[Kind, tuple[str, ...]] = {
    "number": (
        "FP32",
        "FP64",
        "INT8",
        "INT16",
        "INT32",
        "INT64",
        "UINT8",
        "UINT16",
        "UINT32",
        "UINT64",
        "BOOL",
    ),
    "category": ("BYTES", "BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"),
    "date": ("INT64", "BYTES", "INT32", "UINT32", "UINT64", "FP64"),
}


def from_v1(body: object, columns: Sequence[RawColumn], max_rows: int) -> dict[str, Tensor]:
    """The body of a V1 request, {"instances": [{column: value, …}, …]}, as tensors.

    Raises:
        RequestError: the body has another form, or a value is not allowed.
    """
    form = 'A V1 request is {"instances": [{"column": value, …}, …]}.'
    if not isinstance(body, dict):
        raise RequestError(f"The request is {json_type(body)}.", form)
    if body.keys() - {"instances", "signature_name"} or "instances" not in body:
        raise RequestError(
            f"The request has the keys {', '.join(map(repr, list(body)[:5])) or '(none)'}.", form
        )
    rows = body["instances"]
    if not isinstance(rows, list):
        raise RequestError(f"'instances' is {json_type(rows)}.", form)
    _check_rows(len(rows), max_rows)
    return decode_rows(rows, columns)


def from_v2(
    request: InferRequest, columns: Sequence[RawColumn], max_rows: int, *, is_binary: bool = False
) -> dict[str, Tensor]:
    """The inputs of a V2 request, one per column, each of shape [n] or [n, 1], as tensors.

    Raises:
        RequestError: an input is unknown, absent, or of a wrong shape or datatype; a value is not allowed.
    """
    inputs = {given.name: given for given in request.inputs}
    check_names("The request", [given.name for given in request.inputs], columns)
    rows = _rows(request.inputs[0])
    _check_rows(rows, max_rows)
    return {column.tensor: _column(inputs[column.name], column, rows, is_binary) for column in columns}


def _check_rows(rows: int, max_rows: int) -> None:
    if not 1 <= rows <= max_rows:
        raise RequestError(f"The request has {rows:,} rows.", f"A request has 1 to {max_rows:,} rows.")


def _rows(given: InferInput) -> int:
    shape = list(given.shape)
    if not shape or shape[1:] not in ([], [1]) or shape[0] < 0:
        raise RequestError(f"Column '{given.name}' has shape {shape[:4]}.", "Shape [n] or [n, 1] is allowed.")
    return int(shape[0])


def _column(given: InferInput, column: RawColumn, rows: int, is_binary: bool) -> Tensor:
    if (found := _rows(given)) != rows:
        allowed = "All columns have the same number of rows."
        raise RequestError(f"Column '{given.name}' has {found} rows, the first column has {rows}.", allowed)
    if given.datatype not in DATATYPES[column.kind]:
        allowed = f"A {column.kind} has one of {', '.join(DATATYPES[column.kind])}."
        raise RequestError(f"Column '{given.name}' has the datatype {given.datatype[:20]!r}.", allowed)
    values = given.data
    if not isinstance(values, list):
        raise RequestError(f"The data of column '{given.name}' is {json_type(values)}.", "A list is allowed.")
    if len(given.shape) == 2 and all(type(value) is list and len(value) == 1 for value in values):
        values = [value[0] for value in values]
    if len(values) != rows:
        allowed = "The data must hold as many values as the shape says."
        raise RequestError(f"Column '{given.name}' has {len(values)} values for {rows} rows.", allowed)
    if is_binary and given.datatype in ("FP32", "FP64"):
        # Only JSON knows null; in a binary tensor NaN is the one way to say that a number is missing.
        values = [None if value is None or math.isnan(value) else value for value in values]
    return decode_column(column, values)


def inputs_metadata(columns: Sequence[RawColumn]) -> list[dict[str, Any]]:
    """The input columns as V2's model metadata lists them, each with the datatype that fits it best."""
    return [{"name": c.name, "datatype": DATATYPES[c.kind][0], "shape": [-1]} for c in columns]


def to_v2(request: InferRequest, answered: Mapping[str, Any]) -> InferResponse:
    """The answers as V2's named outputs."""
    outputs = [
        InferOutput(name=name, shape=list(values.shape), datatype=datatype(values), data=values)
        for name, values in answered.items()
    ]
    return InferResponse(
        response_id=request.id or str(uuid.uuid4()),
        model_name=request.model_name,
        infer_outputs=outputs,
        use_binary_outputs=request.use_binary_outputs,
        requested_outputs=request.request_outputs,
    )


def datatype(values: Tensor) -> str:
    """V2's name of an answer's type."""
    return {"b": "BOOL", "f": "FP32"}.get(values.dtype.kind, "BYTES")
