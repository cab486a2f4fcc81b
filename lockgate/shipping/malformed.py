"""Requests that must be refused: one fault each, and the column that the refusal must name."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lockgate.features.raw import RawColumn
from lockgate.shipping.record import Protocol

WRONG: Mapping[str, tuple[tuple[str, str], ...]] = {
    "number": (
        ("text", '"12"'),
        ("a list", "[1]"),
        ("NaN", "NaN"),
        ("infinity", "-Infinity"),
        ("a number beyond float32", "1e39"),
    ),
    "category": (("an object", "{}"), ("a list", '["a"]')),
    "date": (("text that is no date", '"soon"'), ("milliseconds", "1380604500000"), ("a boolean", "true")),
}
DATATYPE = {"number": "FP64", "category": "BYTES", "date": "INT64"}


@dataclass(frozen=True)
class Malformed:
    """A request body with one fault; the answer must be 400 and hold `names` (empty: any text)."""

    protocol: Protocol
    fault: str
    body: bytes
    names: str


def malformed(row: Mapping[str, Any], columns: Sequence[RawColumn]) -> Iterator[Malformed]:
    """Every fault in every column, in both protocols, and requests of no form at all.

    Args:
        row: a good row, as JSON values by column.
        columns: the input columns.
    """
    yield from _v1(row, columns)
    yield from _v2(row, columns)
    for protocol in ("v1", "v2"):
        for fault, body in (
            ("no body", b""),
            ("cut off", b'{"instances": [{"inp'),
            ("a list", b"[]"),
            ("text", b'"rows, please"'),
            ("no rows", b'{"instances": []}'),
            ("rows that are no list", b'{"instances": 3}'),
            ("inputs that are no list", b'{"inputs": 3}'),
            ("bytes that are no text", b'\xff\xfe{"instances": []}'),
        ):
            yield Malformed(protocol, fault, body, "")


def _v1(row: Mapping[str, Any], columns: Sequence[RawColumn]) -> Iterator[Malformed]:
    for column in columns:
        name = column.name
        for fault, value in WRONG[column.kind]:
            yield Malformed("v1", f"{fault} in '{name}'", _instances(_texts(row) | {name: value}), name)
        rest = {key: value for key, value in _texts(row).items() if key != name}
        yield Malformed("v1", f"no '{name}'", _instances(rest), name)
        misspelt = rest | {f"{name}_": _texts(row)[name]}
        yield Malformed("v1", f"'{name}' misspelt", _instances(misspelt), f"{name}_")
    yield Malformed("v1", "a list for a row", b'{"instances": [[1, 2]]}', "")


def _texts(row: Mapping[str, Any]) -> dict[str, str]:
    return {name: json.dumps(value) for name, value in row.items()}


def _instances(row: Mapping[str, str]) -> bytes:
    inside = ", ".join(f"{json.dumps(name)}: {value}" for name, value in row.items())
    return f'{{"instances": [{{{inside}}}]}}'.encode()


def _v2(row: Mapping[str, Any], columns: Sequence[RawColumn]) -> Iterator[Malformed]:
    good = {c.name: _input(c, json.dumps([row[c.name]])) for c in columns}
    for column in columns:
        name = column.name
        for fault, value in WRONG[column.kind]:
            bad = _input(column, f"[{value}]")
            yield Malformed("v2", f"{fault} in '{name}'", _inputs(good | {name: bad}), name)
        for fault, bad in (
            ("a wrong datatype", _input(column, "[null]", datatype="FP16X")),
            ("a wrong shape", _input(column, "[null]", shape="[1, 2]")),
            ("too few values", _input(column, "[]")),
        ):
            yield Malformed("v2", f"{fault} for '{name}'", _inputs(good | {name: bad}), name)
        rest = {key: value for key, value in good.items() if key != name}
        yield Malformed("v2", f"no '{name}'", _inputs(rest), name)


def _input(column: RawColumn, data: str, *, datatype: str = "", shape: str = "[1]") -> str:
    name, datatype = json.dumps(column.name), json.dumps(datatype or v2_datatype(column, data))
    return f'{{"name": {name}, "shape": {shape}, "datatype": {datatype}, "data": {data}}}'


def v2_datatype(column: RawColumn, data: str) -> str:
    """The datatype that fits the data of a column, as JSON text."""
    return "BYTES" if '"' in data and column.kind != "number" else DATATYPE[column.kind]


def _inputs(inputs: Mapping[str, str]) -> bytes:
    return f'{{"inputs": [{", ".join(inputs.values())}]}}'.encode()
