"""The main example's data gate on the real flights: open as it is, closed where a leak is put in."""

import re

import pytest

LEAKS = ("dep_delay",)


@pytest.fixture(scope="module")
def collected(example):
    return example("flights")


def test_the_data_gate_is_open_as_the_example_stands(collected, lockgate):
    done = lockgate("validate", collected)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "data gate open" in done.stdout


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_among_the_features_closes_the_gate_and_is_named(example, lockgate, leak):
    folder = example("flights", **{"data.unavailable": [], f"features.{leak}": {}})
    done = lockgate("validate", folder)
    assert done.returncode == 4, done.stdout + done.stderr
    assert "data gate closed" in done.stdout
    assert re.search(rf"leakage: .*{leak}", done.stdout)


def test_an_unavailable_column_cannot_be_made_a_feature(example, lockgate):
    folder = example("flights", **{"features.air_time": {}})
    done = lockgate("validate", folder)
    assert done.returncode == 2
    assert "air_time" in done.stderr
    assert "known only after the prediction" in done.stderr


def test_the_example_uses_no_leak():
    from lockgate.config import read_project
    from tests.conftest import ROOT

    project = read_project(ROOT / "examples" / "flights")
    assert not {"dep_delay", "dep_time", "arr_time", "air_time", "arr_delay"} & project.features.keys()
