"""Requests of KServe's two protocols to raw tensors, and answers back; knows no TensorFlow."""

import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from kserve import InferInput, InferOutput, InferRequest, InferResponse

from lockgate.data.columns import Kind
from lockgate.features.raw import MISSING_DATE, RawColumn
from lockgate.shipping.decode import RequestError, Tensor, check_names, json_type
from lockgate.shipping.packing import Packed, Packing

V1_FORM = 'A V1 request is {"instances": [{"column": value, …}, …]}.'
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


class Input(NamedTuple):
    """One input of a V2 request, whichever way it came; `data` is a list, unless the client erred."""

    name: str
    shape: Sequence[int]
    datatype: str
    data: Any


def from_v1(body: object, packing: Packing, max_rows: int) -> Packed:
    """The body of a V1 request, {"instances": [{column: value, …}, …]}, as packed rows.

    Raises:
        RequestError: the body has another form, or a value is not allowed.
    """
    if not isinstance(body, dict):
        raise RequestError(f"The request is {json_type(body)}.", V1_FORM)
    if body.keys() - {"instances", "signature_name"} or "instances" not in body:
        raise RequestError(
            f"The request has the keys {', '.join(map(repr, list(body)[:5])) or '(none)'}.", V1_FORM
        )
    rows = body["instances"]
    if not isinstance(rows, list):
        raise RequestError(f"'instances' is {json_type(rows)}.", V1_FORM)
    _check_rows(len(rows), max_rows)
    return packing.of_rows(rows)


def from_v2(inputs: Sequence[Input], packing: Packing, max_rows: int, *, is_binary: bool = False) -> Packed:
    """The inputs of a V2 request, one per column, each of shape [n] or [n, 1], as packed rows.

    Args:
        inputs: of the request.
        packing: of the model's columns.
        max_rows: that a request may have.
        is_binary: the values came where there is no null (binary tensors, gRPC): NaN and the smallest
            int64 say there that a number or a date is missing.

    Raises:
        RequestError: an input is unknown, absent, or of a wrong shape or datatype; a value is not allowed.
    """
    given = {each.name: each for each in inputs}
    if len(inputs) != len(given) or given.keys() != {column.name for column in packing.columns}:
        check_names("The request", [each.name for each in inputs], packing.columns)
    rows = _rows(inputs[0])
    _check_rows(rows, max_rows)
    return packing.of_columns({c.name: _values(given[c.name], c, rows, is_binary) for c in packing.columns})


def inputs_of(request: InferRequest, *, is_raw: bool = False) -> Iterable[Input]:
    """The inputs of a request that KServe has read; raw tensors of gRPC are read here.

    Raises:
        RequestError: a raw tensor is not what its shape and datatype say.
    """
    for each in request.inputs:
        yield Input(each.name, list(each.shape), each.datatype, _raw(each) if is_raw else each.data)


def _raw(given: InferInput) -> list[Any]:
    try:
        return given.as_numpy().ravel().tolist()  # type: ignore[no-any-return]
    except Exception as error:  # whatever reading foreign bytes may raise
        reason = f"The raw data of column '{given.name}' cannot be read ({type(error).__name__})."
        raise RequestError(reason, "It must be as long as its shape and datatype say.") from None


def _check_rows(rows: int, max_rows: int) -> None:
    if not 1 <= rows <= max_rows:
        raise RequestError(f"The request has {rows:,} rows.", f"A request has 1 to {max_rows:,} rows.")


def _rows(given: Input) -> int:
    shape = list(given.shape)
    if not shape or shape[1:] not in ([], [1]) or shape[0] < 0:
        raise RequestError(f"Column '{given.name}' has shape {shape[:4]}.", "Shape [n] or [n, 1] is allowed.")
    return int(shape[0])


def _values(given: Input, column: RawColumn, rows: int, is_binary: bool) -> list[Any]:
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
    return _said(values, given, column) if is_binary else values


def _said(values: list[Any], given: Input, column: RawColumn) -> list[Any]:
    """Values that came without JSON as JSON would say them: null where missing, text for bytes."""
    if given.datatype in ("FP32", "FP64"):
        return [None if value is None or math.isnan(value) else value for value in values]
    if given.datatype == "INT64" and column.kind == "date":
        return [None if value == MISSING_DATE else value for value in values]
    if given.datatype == "BYTES":
        try:
            return [value.decode() if isinstance(value, bytes) else value for value in values]
        except UnicodeDecodeError:
            raise RequestError(f"Column '{given.name}' holds bytes that are no UTF-8 text.") from None
    return values


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
