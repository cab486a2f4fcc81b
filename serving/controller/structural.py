"""A pydantic model as a structural schema, which is what Kubernetes makes of JSON Schema.

References are written out, "or null" becomes "may be left out", bounds are OpenAPI 3.0's, and defaults hold
only what the parts' own defaults do not say.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]
# Kept as they are, in the order in which they are written.
KEPT = (
    "type",
    "format",
    "enum",
    "pattern",
    *("minLength", "maxLength"),
    *("minimum", "maximum"),
    *("minItems", "maxItems"),
)
BOUNDS = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}


def structural(model: type[BaseModel], rules: Mapping[type[BaseModel], tuple[dict[str, str], ...]]) -> Schema:
    """The schema of a model, by its aliases.

    Args:
        model: whose fields are numbers, texts, lists, mappings of texts, and such models.
        rules: `x-kubernetes-validations` of models, which hold for their subclasses too.
    """
    whole = model.model_json_schema(by_alias=True)
    classes = {found.__name__: found for found in (model, *_parts(model))}
    held = {
        name: [dict(rule) for parent, ours in rules.items() if issubclass(found, parent) for rule in ours]
        for name, found in classes.items()
    }
    parts = {**whole.get("$defs", {}), model.__name__: whole}
    return _Translation(parts, held).of({"$ref": f"#/$defs/{model.__name__}"})


class _Translation:
    def __init__(self, parts: Mapping[str, Schema], rules: Mapping[str, list[dict[str, str]]]) -> None:
        self._parts, self._rules = parts, rules

    def of(self, given: Schema) -> Schema:
        """The structural schema of a JSON schema."""
        if "anyOf" in given:
            (only,) = [way for way in given["anyOf"] if way.get("type") != "null"]
            given = {**only, **{k: v for k, v in given.items() if k != "anyOf"}}
        name = given["$ref"].rpartition("/")[2] if "$ref" in given else ""
        part = {**self._parts[name], **given} if name else given
        made: Schema = {"description": _sentence(part["description"])} if "description" in part else {}
        made |= {key: part[key] for key in KEPT if key in part}
        made |= {key: value for key, value in part.items() if key.startswith("x-kubernetes-")}
        for bound, plain in BOUNDS.items():
            if bound in part:
                made |= {plain: _plain(part[bound]), bound: True}
        for key in ("minimum", "maximum"):
            if key in made:
                made[key] = _plain(made[key])
        if "items" in part:
            made["items"] = self.of(part["items"])
        made |= self._object(part)
        if self._rules.get(name):
            made["x-kubernetes-validations"] = self._rules[name]
        if part.get("default") is not None:
            made["default"] = _short(part["default"], made)
        return made

    def _object(self, part: Schema) -> Schema:
        if "properties" in part:
            fields = {key: self.of(field) for key, field in part["properties"].items()}
            return {**({"required": part["required"]} if "required" in part else {}), "properties": fields}
        values = part.get("additionalProperties")
        if values is True:
            # A real row, nulls included, is one value.
            free = {"x-kubernetes-preserve-unknown-fields": True, "nullable": True}
            return {"additionalProperties": free, "x-kubernetes-map-type": "atomic"}
        if isinstance(values, dict):
            if "propertyNames" in part:
                return {"properties": {key: self.of(values) for key in part["propertyNames"]["enum"]}}
            return {"additionalProperties": self.of(values)}
        return {}


def _parts(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The models that a model is made of."""
    for field in model.model_fields.values():
        for found in _models(field.annotation):
            yield found
            yield from _parts(found)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models(argument)


def _short(default: Any, schema: Schema) -> Any:
    """The default without what the parts' own defaults say; the server fills those in."""
    if isinstance(default, list):
        return [_short(each, schema["items"]) for each in default]
    if isinstance(default, Mapping):
        fields = schema.get("properties", {})
        short = {key: _short(value, fields[key]) for key, value in default.items() if value is not None}
        # The server holds a default against the rules before it fills in the parts' own.
        is_whole = "x-kubernetes-validations" in schema
        return {key: value for key, value in short.items() if is_whole or fields[key].get("default") != value}
    return _plain(default)


def _plain(number: Any) -> Any:
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _sentence(text: str) -> str:
    """The first paragraph of a description, on one line."""
    return re.sub(r"\s+", " ", text.partition("\n\n")[0]).strip()
