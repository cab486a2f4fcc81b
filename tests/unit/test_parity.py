"""Parity as arithmetic, and the serving gate's sentences."""

import numpy as np
import pytest

from lockgate.features.raw import raw_columns
from lockgate.shipping.gate import judge
from lockgate.shipping.parity import Served, absolute_tolerance, compare
from lockgate.shipping.record import Budgets, Refusals, ServingRecord
from lockgate.training.spec import OUTPUTS, ModelSpec


def spec(task="binary"):
    classes = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "regression": ()}[task]
    return ModelSpec(
        name="m", task=task, label="y", classes=classes, inputs=raw_columns({"x": "number"}),
        output=OUTPUTS[task], snapshot="0" * 64, metric="m", rows=1, parameters=1,
    )  # fmt: skip


def served(scores, **words):
    scores = np.array(scores, dtype=np.float32)
    answered = np.isfinite(scores).reshape(len(scores), -1).all(axis=1)
    words = {name: np.array(values, dtype=object) for name, values in words.items()}
    return Served(scores, words, answered, "" if answered.all() else "status 500: no", 1.0)


def binary(scores, threshold=0.5):
    flags = [s >= np.float32(threshold) for s in np.array(scores, dtype=np.float32)]
    return served(scores, label=["yes" if f else "no" for f in flags], decision=flags)


def test_the_tolerance_is_that_of_float32():
    trained = np.array([0.5, 0.5, 0.5], dtype=np.float32)
    near = compare("v1", spec(), 0.5, binary([0.5, 0.500004, 0.5]), trained)
    assert near.unequal == 0
    assert near.largest == pytest.approx(4e-6, rel=0.1)
    far = compare("v1", spec(), 0.5, binary([0.5, 0.5, 0.50001]), trained)
    assert (far.unequal, far.worst_row) == (1, 2)
    assert (far.worst_served, far.worst_trained) == pytest.approx((0.50001, 0.5))


def test_what_is_no_number_is_unequal():
    answer = binary([0.5, np.nan])
    answer = Served(answer.scores, {k: v[:1] for k, v in answer.words.items()}, answer.answered, "no", 1.0)
    found = compare("v2", spec(), 0.5, answer, np.array([0.5, 0.5], np.float32))
    assert (found.unequal, found.unanswered, found.refusal, found.worst_row) == (1, 1, "no", 1)


def test_a_label_that_the_score_does_not_imply_is_found():
    wrong = served([0.9, 0.1], label=["yes", "yes"], decision=[True, False])
    found = compare("v1", spec(), 0.5, wrong, np.array([0.9, 0.1], np.float32))
    assert (found.unequal, found.labels_unequal) == (0, 1)


def test_multiclass_compares_every_probability():
    scores = [[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]]
    trained = np.array([[0.2, 0.3, 0.5], [0.6, 0.2, 0.2]], np.float32)
    found = compare("v1", spec("multiclass"), 0.5, served(scores, label=["c", "a"]), trained)
    assert (found.unequal, found.worst_row, found.labels_unequal) == (1, 1, 0)


def test_the_tolerance_of_a_regression_has_the_unit_of_its_label():
    assert absolute_tolerance(spec("regression"), np.array([3e6, -4e6], np.float32)) == pytest.approx(
        3.54, rel=0.01
    )
    assert absolute_tolerance(spec("regression"), np.array([0.0], np.float32)) > 0
    assert absolute_tolerance(spec(), np.array([0.5], np.float32)) == 1e-6


def record(**changes):
    good = compare("v1", spec(), 0.5, binary([0.5]), np.array([0.5], np.float32), mutated=0)
    values: dict = dict(  # noqa: C408
        rows=1, mutated=0, largest_difference=0.0, relative_tolerance=1e-5, absolute_tolerance=1e-6,
        parity=(good,), refusals=(Refusals(protocol="v1", sent=3, refused=3),), load_seconds=5.0,
        latency_ms={"p50": 1.0, "p90": 2.0, "p99": 3.0}, latency_requests=400, rows_per_second=1e4,
        batch_rows=1000, memory_mb=800.0, budgets=Budgets(load_seconds=30, latency_ms=50, memory_mb=1500),
    )  # fmt: skip
    return ServingRecord(**(values | changes))


def test_the_gate_is_open_when_all_is_within_its_limits():
    verdict = judge(record())
    assert verdict.is_open
    assert {check.rule for check in verdict.checks} == {
        "parity",
        "refusals",
        "load_time",
        "latency",
        "memory",
    }


@pytest.mark.parametrize(
    ("changes", "rule", "words"),
    [
        ({"load_seconds": 31.0}, "load_time", "31.0 s after its start; allowed are 30 s."),
        ({"latency_ms": {"p50": 1, "p90": 2, "p99": 51.0}}, "latency", "at most 51.0 ms"),
        ({"memory_mb": 1600.0}, "memory", "1600 MB after all requests; allowed are 1500 MB."),
        (
            {"refusals": (Refusals(protocol="v2", sent=3, refused=2, wrong=("a list: answered with 200",)),)},
            "refusals",
            "V2: 2 of 3 malformed requests were refused with status 400 and the column's name; a list",
        ),
        ({"refusals": (Refusals(protocol="v1", sent=0, refused=0),)}, "refusals", "0 of 0"),
    ],
)
def test_each_measure_closes_the_gate_in_words(changes, rule, words):
    verdict = judge(record(**changes))
    assert [check.rule for check in verdict.errors] == [rule]
    assert words in verdict.errors[0].message
    assert verdict.errors[0].advice


def test_unequal_scores_close_the_gate_and_show_the_worst_row():
    bad = compare("v1", spec(), 0.5, binary([0.75]), np.array([0.5], np.float32))
    message = judge(record(parity=(bad,))).errors[0].message
    assert "1 of 1 rows had another score than in training" in message
    assert "row 0 was served 0.75 where training gives 0.5" in message
