"""docs/rollout.md says what the code says: its example, its defaults, its phases and reasons."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from components.cluster import connection
from lockgate.rollout import lifecycle, turns
from lockgate.rollout.decide import Code
from lockgate.rollout.resource import API_VERSION, KIND, ModelRevision, Spec
from lockgate.rollout.status import Phase
from serving.controller.cluster.store import Unreadable

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/rollout.md").read_text()
# What the example fills in although it has no default, or another one.
CHOSEN = {"host", "stable", "candidate", "git"}
PHASES_ALONE = {"Idle", "Stepping", "Soaking", "Promoted", "RolledBack", "Holding"}
OF_THE_CLUSTER = ("Absent", "Taken", "Changed", "Forbidden", "Unreachable")


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    text = re.search(r"```yaml\n(apiVersion.*?)```", PAGE, re.DOTALL)
    assert text
    return yaml.safe_load(re.sub(r"([0-9a-f]{4})…", lambda short: short[1] * 16, text[1]))


def test_the_example_is_a_model_rollout(example):
    assert (example["apiVersion"], example["kind"]) == (API_VERSION, KIND)
    Spec.model_validate(example["spec"])


def test_the_example_has_every_key(example):
    spec = example["spec"]
    names = {field.alias for field in Spec.model_fields.values()}
    assert set(spec) == names
    assert set(spec["stable"]) == {field.alias for field in ModelRevision.model_fields.values()} - {
        "annotations"
    }


def test_the_example_has_the_defaults(example):
    spec = Spec.model_validate(example["spec"])
    least = Spec.model_validate({name: example["spec"][name] for name in ("host", "stable")})
    kept = spec.model_dump(exclude=CHOSEN)
    assert kept == least.model_dump(exclude=CHOSEN)
    assert spec.stable.replicas == ModelRevision.model_fields["replicas"].default
    written = {
        name: set(given) for name, given in example["spec"]["analysis"].items() if isinstance(given, dict)
    }
    of = Spec.model_validate(example["spec"]).analysis
    for name, keys in written.items():
        missing = {field.alias for field in type(getattr(of, snake(name))).model_fields.values()} - keys
        assert missing <= {"limitMs"}, name


def test_the_example_leaves_nothing_of_the_analysis_out(example):
    names = {field.alias for field in type(Spec.model_fields["analysis"].default).model_fields.values()}
    assert set(example["spec"]["analysis"]) == names


def test_the_page_has_every_phase():
    assert first_cells("phase") == list(get_args(Phase))


def test_the_page_has_every_reason():
    source = "".join(Path(module.__file__).read_text() for module in (lifecycle, turns))
    given = set(re.findall(r'"([A-Z][A-Za-z]+)"', source)) - PHASES_ALONE
    assert {"Aborted", "Paused", "NotReady", "Refused", "PromotedByHand", "Installing"} <= given
    failures = {Unreadable.__name__, *OF_THE_CLUSTER, "ClusterError", "DeliveryError", "Fault"}
    assert all(hasattr(connection, name) for name in OF_THE_CLUSTER)
    known = {word for cell in first_cells("reason") for word in cell.split(", ")}
    assert known == given | {code.value for code in Code} | failures


def first_cells(head: str) -> list[str]:
    """The first cells of the table whose head begins so."""
    table = re.search(rf"^\| {head} \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert table
    return [line.split("|")[1].strip() for line in table[1].splitlines()]


def snake(name: str) -> str:
    return re.sub(r"([A-Z])", lambda letter: f"_{letter[1].lower()}", name)
