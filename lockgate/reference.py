"""Every key of project.yaml with its type, default and meaning, as a page."""

import json
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from lockgate.project import Project

HEAD = """# project.yaml

The one file that a user edits. Unknown keys are refused, with the nearest known one.
Generated from the code by `make compile`.

| key | what is allowed | default | |
|---|---|---|---|
"""


def markdown() -> str:
    """The reference page of project.yaml."""
    return HEAD + "\n".join(_rows(Project, "")) + "\n"


def _rows(section: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in section.model_fields.items():
        key = f"{prefix}{name}"
        inner = list(_sections(field.annotation))
        if not inner:
            meaning = (field.description or "").replace("|", "\\|")
            yield f"| `{key}` | {_allowed(field)} | {_default(field)} | {meaning} |"
            continue
        for part in inner:
            yield f"| **`{key}`** | | | {(part.__doc__ or '').strip().splitlines()[0]} |"
            yield from _rows(part, f"{key}.{_placeholder(field.annotation)}")


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """The section classes inside an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) is not None:
        for argument in get_args(annotation):
            yield from _sections(argument)


def _placeholder(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _placeholder(get_args(annotation)[0])
    if origin is Mapping or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return "<name>."
    return "[]." if origin is tuple else ""


def _allowed(field: FieldInfo) -> str:
    limits = [
        f"{sign} {getattr(rule, attribute):g}"
        for rule in field.metadata
        for attribute, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
        if isinstance(getattr(rule, attribute, None), int | float)
    ]
    return " ".join([_type(field.annotation), *limits])


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " \\| ".join(f"`{argument}`" for argument in arguments)
    if origin is Annotated:
        return _type(arguments[0])
    if origin in (Union, UnionType):
        return " or ".join(_type(a) for a in arguments if a is not type(None))
    if origin is tuple:
        return (
            "list of " + _type(arguments[0]) if arguments[-1] is Ellipsis else "two of " + _type(arguments[0])
        )
    if origin is not None:
        return f"{_type(arguments[0])} → {_type(arguments[1])}"
    names = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "–"
    shown = list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value
    return f"`{json.dumps(shown, ensure_ascii=False)}`"


GATE_HEAD = """# The data gate

`validate` computes the statistics of every column in one pass, fills them into TFDV's protos, lets
TFDV hold them against the reviewed schema, and runs the checks below. A failed check of severity
error closes the gate: the run stops before the next step, with exit code 4. Every check says value,
limit, baseline and rows, and what to do next.

- **The schema** is `schema.pbtxt` beside `project.yaml`, reviewed in Git. `lockgate schema accept
  FOLDER` widens it to the last run's data and prints the difference. Without one the gate says so
  and judges anomalies one level milder.
- **Limits** on skew, drift and new categories have an allowance for sample size on top: with few
  rows, chance alone moves a distribution (`validation.limits.confidence`).
- **Leakage** is judged column by column: how well one column alone tells the label, on the training
  rows. A combination of two innocent columns is not seen; name what is known only afterwards in
  `data.unavailable`.
- **`live` rows** are described on the data page, and judged by the schema only.

`validation.severity` sets another severity, or `off`, by the rule's name. Generated from the code
by `make compile`.

| rule | severity | open when |
|---|---|---|
"""


def data_gate() -> str:
    """The page of the data gate, with every rule."""
    from lockgate.data.checks.rules import RULES

    return GATE_HEAD + "".join(
        f"| `{name}` | {level} | {words} |\n" for name, (level, words) in RULES.items()
    )
