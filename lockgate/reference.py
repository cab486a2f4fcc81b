"""Every key of project.yaml with its type, default and meaning, as a page."""

import json
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from lockgate.project import Project, Section

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


def _sections(annotation: Any) -> Iterator[type[Section]]:
    """The section classes inside an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
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
