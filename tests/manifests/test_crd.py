"""The schema of ModelRollout says what the models say: the same specs, defaults, bounds and statuses.

The rules over several fields need an API server: tests/cluster/manifests/test_crd.py.
"""

import copy
import math
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import ValidationError

from lockgate.rollout.resource import Spec
from lockgate.rollout.status import Status
from serving.controller import crd
from tests.manifests.built import MANIFESTS
from tests.manifests.rollouts import CANDIDATE, FORBIDDEN, REFUSED, TAKEN, revision, spec
from tests.rollout.world import Behaviour, World, short

Schema = dict[str, Any]
(VERSION,) = crd.definition()["spec"]["versions"]
FIELDS: dict[str, Schema] = VERSION["schema"]["openAPIV3Schema"]["properties"]


def strict(schema: Schema) -> Schema:
    """The schema as of a server that is asked for strict validation: no field that it does not know."""
    made = {key: strict(value) if isinstance(value, dict) else value for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
        made["additionalProperties"] = False
    return made


def faults(part: str, document: Any) -> list[str]:
    """What the schema says against a spec or a status; OpenAPI 3.0's bounds are those of draft 4."""
    checker = jsonschema.Draft4Validator(strict(FIELDS[part]), format_checker=jsonschema.FormatChecker())
    return [error.message for error in checker.iter_errors(document)]


def filled(document: Any, schema: Schema) -> Any:
    """The document with the defaults that the server fills in."""
    if isinstance(document, list):
        return [filled(each, schema["items"]) for each in document]
    if not isinstance(document, dict) or "properties" not in schema:
        return document
    made = copy.deepcopy(document)
    for key, field in schema["properties"].items():
        if key not in made and "default" in field:
            made[key] = copy.deepcopy(field["default"])
        if key in made:
            made[key] = filled(made[key], field)
    return made


def is_read(document: Any) -> bool:
    try:
        Spec.model_validate(document)
    except ValidationError:
        return False
    return True


def numbers(schema: Schema, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Schema]]:
    """Every bounded number below a schema, with the way to it."""
    for key, field in schema.get("properties", {}).items():
        if {"minimum", "maximum"} & field.keys():
            yield (*path, key), field
        yield from numbers(field, (*path, key))


def test_what_is_committed_is_what_the_models_say():
    assert (MANIFESTS / "base" / "crd.yaml").read_text() == crd.text()
    assert yaml.safe_load(crd.text()) == crd.definition()


@pytest.mark.parametrize("document", TAKEN, ids=str)
def test_both_take_it(document):
    assert faults("spec", document) == []
    assert is_read(document)


@pytest.mark.parametrize("document", REFUSED, ids=str)
def test_both_refuse_it(document):
    assert faults("spec", document)
    assert not is_read(document)


@pytest.mark.parametrize(("document", "_"), FORBIDDEN, ids=str)
def test_the_models_refuse_what_needs_a_rule_on_the_server(document, _):
    assert faults("spec", document) == [], "else it is no test of the rule"
    assert not is_read(document)


@pytest.mark.parametrize("document", TAKEN, ids=str)
def test_the_servers_defaults_are_those_of_the_models(document):
    full = filled(document, FIELDS["spec"])
    read = Spec.model_validate(document)
    assert Spec.model_validate(full) == read
    assert full == read.model_dump(mode="json", by_alias=True, exclude_none=True) | nulls(document)
    assert faults("spec", full) == []


def nulls(document):
    """The stable revision with the nulls of its example, which are values and not left out."""
    if "example" not in document["stable"]:
        return {}
    written = Spec.model_validate(document).stable.model_dump(mode="json", by_alias=True)
    return {"stable": written}


def test_both_draw_the_same_bounds():
    found = dict(numbers(FIELDS["spec"]))
    assert len(found) > 20
    for path, field in found.items():
        for end, outward in (("minimum", -math.inf), ("maximum", math.inf)):
            if end not in field:
                continue
            is_whole = field["type"] == "integer"
            beyond = (
                field[end] + (1 if outward > 0 else -1) if is_whole else math.nextafter(field[end], outward)
            )
            within = (
                field[end] + (-1 if outward > 0 else 1) if is_whole else math.nextafter(field[end], -outward)
            )
            for value in (beyond, field[end], within):
                document = spec(candidate=revision(CANDIDATE))
                place = document
                for key in path[:-1]:
                    place = place.setdefault(key, {})
                place[path[-1]] = value
                assert bool(faults("spec", document)) == is_out_of_bounds(document), (path, value)


def is_out_of_bounds(document):
    """Whether the models refuse it for another reason than a rule over several fields."""
    try:
        Spec.model_validate(document)
    except ValidationError as error:
        return any(fault["type"] != "value_error" for fault in error.errors())
    return False


@pytest.mark.parametrize("part", ["spec", "status"])
def test_every_field_says_what_it_means(part):
    def silent(schema, path):
        for key, field in schema.get("properties", {}).items():
            if not field.get("description", "").endswith("."):
                yield f"{path}.{key}"
            yield from silent(field, f"{path}.{key}")
            yield from silent(field.get("items", {}), f"{path}.{key}[]")

    assert list(silent(FIELDS[part], part)) == []


@pytest.mark.parametrize("acts", [Behaviour(), Behaviour(errors=0.1)], ids=["good", "bad"])
def test_every_status_of_a_whole_rollout_is_taken(acts):
    world = World(short()).begin()
    world.behaviours[f"tiny-{CANDIDATE[:8]}"] = acts
    seen = set()
    for _ in range(60):
        world.tick()
        seen.add(world.status.phase)
        assert faults("status", world.status.model_dump(mode="json", by_alias=True, exclude_none=True)) == []
    assert seen >= ({"Stepping", "RolledBack"} if acts.errors else {"Stepping", "Soaking", "Promoted"})


def test_the_status_s_defaults_are_those_of_the_model():
    assert Status.model_validate(filled({}, FIELDS["status"])) == Status()


def test_columns_and_scale_point_at_fields():
    scale = VERSION["subresources"]["scale"]
    paths = [column["jsonPath"] for column in VERSION["additionalPrinterColumns"]] + list(scale.values())
    for path in paths:
        _, part, *rest = path.split(".")
        field = FIELDS[part]
        for key in rest if part != "metadata" else ():
            field = field["properties"][key]
    names = [c["name"].upper() for c in VERSION["additionalPrinterColumns"] if not c.get("priority")]
    assert names == ["STABLE", "CANDIDATE", "STEP", "WANTED", "OBSERVED", "PHASE", "AGE"]
