"""The model gate: every rule opens and closes where it should, with the numbers in its sentence."""

import math

import pytest

from lockgate.evaluation.model_gate import judge
from lockgate.evaluation.record import (
    Champion,
    Comparison,
    EvaluationRecord,
    Fairness,
    Gap,
    MetricValue,
    ModelScores,
    SliceScore,
)
from lockgate.project import Project


def _project(**rules):
    return Project(
        name="flights",
        task="binary",
        data={"source": "x.csv", "label": "late"},
        evaluate={"rules": rules},
    )


def _comparison(other="linear", role="baseline", gain=0.02, low=0.01, high=0.03, p_value=0.0001):
    return Comparison(
        other=other,
        role=role,
        metric="roc_auc",
        ours=0.75,
        theirs=0.75 - gain,
        gain=gain,
        low=low,
        high=high,
        p_value=p_value,
        test="DeLong",
        rows=28_889,
    )


def _record(**more):
    metrics = (
        MetricValue(name="roc_auc", value=0.75, low=0.74, high=0.76, rows=28_889),
        MetricValue(name="log_loss", value=0.45, low=0.44, high=0.46, rows=28_889),
        MetricValue(name="precision", value=math.nan, rows=28_889),
    )
    standard = {
        "project": "flights",
        "task": "binary",
        "label": "late",
        "snapshot": "0" * 64,
        "metric": "roc_auc",
        "higher_is_better": True,
        "confidence": 0.95,
        "rows": 28_889,
        "unlabelled": 0,
        "non_finite": 0,
        "models": (ModelScores(name="network", role="network", metrics=metrics),),
        "champion": Champion(state="none", message="There is no champion yet."),
        "comparisons": (_comparison(),),
    }
    return EvaluationRecord(**{**standard, **more})


def _check(rule, rules, **more):
    return next(c for c in judge(_record(**more), _project(**rules)).checks if c.rule == rule)


def test_a_good_first_model_passes():
    verdict = judge(_record(), _project(minimum={"roc_auc": 0.7}, maximum={"log_loss": 0.5}))
    assert verdict.is_open
    assert [c.rule for c in verdict.checks] == ["finite", "minimum", "maximum", "baseline", "first_model"]
    assert all(c.message for c in verdict.checks)


@pytest.mark.parametrize(
    ("rule", "limits", "passed"),
    [
        ("minimum", {"roc_auc": 0.75}, True),
        ("minimum", {"roc_auc": 0.7501}, False),
        ("maximum", {"log_loss": 0.45}, True),
        ("maximum", {"log_loss": 0.4499}, False),
        ("minimum", {"precision": 0.1}, False),
        ("maximum", {"rmse": 3.0}, False),
    ],
)
def test_bounds(rule, limits, passed):
    check = _check(rule, {rule: limits})
    assert (check.passed, check.severity) == (passed, "error")
    assert bool(check.advice) is not passed


def test_a_bounds_sentence_has_its_numbers():
    check = _check("minimum", {"minimum": {"roc_auc": 0.8}})
    assert check.message == "ROC AUC is 0.75 (0.74 to 0.76) on 28,889 test rows; it must be at least 0.8."
    assert (check.value, check.limit, check.rows) == (0.75, 0.8, 28_889)
    assert "is not a metric of a binary task" in _check("maximum", {"maximum": {"rmse": 3}}).message


@pytest.mark.parametrize(
    ("gain", "limit", "passed"),
    [(0.02, 0.0, True), (0.0, 0.0, False), (-0.001, 0.0, False), (0.02, 0.03, False), (-0.001, -0.002, True)],
)
def test_the_network_must_beat_every_baseline(gain, limit, passed):
    comparisons = (_comparison("trivial", gain=0.25), _comparison("linear", gain=gain, low=gain - 0.01))
    verdict = judge(_record(comparisons=comparisons), _project(baseline_gain=limit))
    checks = {c.subject: c for c in verdict.checks if c.rule == "baseline"}
    assert checks["trivial"].passed
    assert checks["linear"].passed is passed
    assert verdict.is_open is passed


def test_a_gain_that_chance_may_explain_is_a_warning():
    verdict = judge(_record(comparisons=(_comparison(gain=0.002, low=-0.001, p_value=0.2),)), _project())
    assert verdict.is_open
    (warning,) = verdict.warnings
    assert warning.rule == "baseline_evidence"
    assert "p = 0.2, DeLong, 28,889 rows" in warning.message


def test_without_a_baseline_nothing_is_shown():
    assert not _check("baseline", {}, comparisons=()).passed
    assert judge(_record(comparisons=()), _project(baseline_gain=None)).is_open


def test_a_first_model_may_be_refused():
    check = _check("first_model", {"first_model": "refuse"})
    assert not check.passed
    assert "first_model: allow" in check.advice


@pytest.mark.parametrize(
    ("low", "margin", "passed"),
    [(-0.001, 0.002, True), (-0.003, 0.002, False), (0.0, 0.0, True), (-1e-6, 0.0, False)],
)
def test_not_worse_than_the_champion_by_more_than_the_margin(low, margin, passed):
    comparisons = (_comparison(), _comparison("champion", "champion", gain=0.0005, low=low))
    champion = Champion(state="compared", message="", model="abc")
    check = _check("champion", {"champion_margin": margin}, comparisons=comparisons, champion=champion)
    assert (check.passed, check.severity) == (passed, "error")


def test_a_champion_that_cannot_be_compared_follows_the_first_model_policy():
    champion = Champion(state="incomparable", message="It needs column 'wind'.", model="abcdef")
    check = _check("champion", {}, champion=champion)
    assert (check.passed, check.severity, check.subject) == (False, "warning", "abcdef")
    assert "It needs column 'wind'. The network is treated as a first model" in check.message
    assert _check("champion", {"first_model": "refuse"}, champion=champion).severity == "error"


def _slice(**more):
    standard = {"column": "origin", "value": "LGA", "rows": 900, "min_rows": 100, "metric": "roc_auc"}
    return SliceScore(**{**standard, "score": 0.6, "low": 0.55, "high": 0.65, "drop": 0.15, **more})


@pytest.mark.parametrize(
    ("found", "passed", "severity"),
    [
        (_slice(significant=True), False, "error"),
        (_slice(significant=False), False, "warning"),
        (_slice(drop=0.05, significant=True), True, "error"),
        (_slice(score=None, drop=None, low=None, high=None, note="Too few."), False, "info"),
    ],
)
def test_slices(found, passed, severity):
    check = _check("slice_drop", {"slice_drop": 0.1}, slices=(found,))
    assert (check.passed, check.severity, check.subject) == (passed, severity, "origin = LGA")
    assert not [c for c in judge(_record(slices=(found,)), _project()).checks if c.rule == "slice_drop"]


@pytest.mark.parametrize(
    ("gap", "low", "passed", "severity"),
    [(0.05, 0.02, True, "error"), (0.2, 0.1, False, "error"), (0.2, -0.1, False, "warning")],
)
def test_fairness(gap, low, passed, severity):
    found = Gap(rate="selection", gap=gap, low=low, high=0.3, highest="UA", lowest="AA", rows=500)
    check = _check(
        "fairness_gap", {"fairness_gap": 0.1}, fairness=(Fairness(column="c", groups=(), gaps=(found,)),)
    )
    assert (check.passed, check.severity) == (passed, severity)
    assert "between c = UA and c = AA; at most 10.0% is allowed." in check.message


def test_groups_without_rows_do_not_pass():
    check = _check(
        "fairness_gap", {"fairness_gap": 0.1}, fairness=(Fairness(column="c", groups=(), gaps=()),)
    )
    assert not check.passed


def test_predictions_that_are_no_numbers_close_the_gate():
    verdict = judge(_record(non_finite=3), _project())
    assert not verdict.is_open
    assert verdict.sentence().endswith("3 predictions are not finite numbers.")
