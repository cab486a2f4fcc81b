"""`lockgate rollout demo` before anything is rolled out: what it refuses, and what it learns from."""

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from lockgate.cli import demo
from lockgate.cli.demo import fault_of, is_as_it_should, later, rollout_demo
from lockgate.config import read_project
from lockgate.errors import ConfigError, ServingError
from lockgate.rollout.record import RolloutRecord
from tests.conftest import ROOT

FLIGHTS = ROOT / "examples/flights"


def record(outcome: str, *, failed: int = 0, failed_stable: int = 0) -> RolloutRecord:
    return RolloutRecord(
        model="m", stable="m-1", candidate="m-2", began=datetime(2026, 1, 5, tzinfo=UTC), outcome=outcome,
        reason="Fine", message="", alpha=0.01, power=0.9, weights=(100,), moments=(), happenings=(),
        readings=(), sent=10, failed=failed, failed_stable=failed_stable,
    )  # fmt: skip


@pytest.fixture
def said(monkeypatch):
    text = io.StringIO()
    monkeypatch.setattr(demo, "terminal", lambda: Console(file=text, width=160))
    return text


@pytest.fixture
def ended(example):
    """A project with a run that pushed nothing, and no champion."""
    folder = example("flights")
    (folder / ".lockgate/runs/20260105-120000").mkdir(parents=True)
    return folder


def files(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.mark.parametrize("name", ["nope", "memory", ""])
def test_an_unknown_fault_is_refused_by_those_that_are_known(name):
    with pytest.raises(ConfigError) as refused:
        fault_of(name)
    assert refused.value.allowed == "A candidate can be bad by errors, slow, skewed, crash."
    assert refused.value.next_step


def test_the_fault_is_looked_at_first(tmp_path):
    with pytest.raises(ConfigError, match="nope"):
        rollout_demo(tmp_path, None, "nope", 300)


def test_a_project_without_a_run_is_told_to_run_and_stays_as_it_is(example):
    folder = example("flights")
    before = files(folder)
    for bad in (None, "errors"):
        with pytest.raises(ConfigError, match="no run yet") as refused:
            rollout_demo(folder, None, bad, 300)
        assert str(folder) in refused.value.next_step
    assert files(folder) == before


def test_a_rejected_model_is_no_rollout_and_no_error(ended, said):
    before = files(ended)
    assert rollout_demo(ended, None, None, 300) == 0
    assert "pushed no model" in said.getvalue()
    assert "--bad errors" in said.getvalue()
    assert files(ended) == before


def test_without_a_champion_nothing_can_be_spoiled(ended, said):
    before = files(ended)
    with pytest.raises(ServingError, match="No model was pushed"):
        rollout_demo(ended, None, "errors", 300)
    assert files(ended) == before


def test_the_later_model_learns_up_to_the_test_and_is_judged_on_the_rest_of_it():
    project = read_project(FLIGHTS)
    split = later(project).split
    assert split.train == (project.split.train[0], project.split.tune[1])
    assert split.tune == (project.split.test[0], split.test[0])
    assert split.test[1] == project.split.test[1]
    assert split.tune[1] - split.tune[0] < split.test[1] - split.test[0]
    assert split.live == project.split.live


def test_a_project_without_times_has_no_later_months():
    with pytest.raises(ConfigError, match="no later months") as refused:
        later(read_project(ROOT / "examples/penguins"))
    assert "--bad errors" in refused.value.next_step


@pytest.mark.parametrize(
    ("bad", "given", "is_fine"),
    [
        (None, record("Promoted"), True),
        (None, record("Promoted", failed=1), False),
        (None, record("RolledBack"), False),
        ("errors", record("RolledBack", failed=9), True),
        ("errors", record("RolledBack", failed=9, failed_stable=1), False),
        ("errors", record("Promoted"), False),
    ],
)
def test_it_is_a_success_where_the_candidate_got_what_it_deserves(bad, given, is_fine):
    assert is_as_it_should(given, bad) is is_fine
