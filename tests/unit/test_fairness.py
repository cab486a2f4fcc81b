"""Gaps between groups: the right rates, intervals that cover, groups too small to judge."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import binomtest

from lockgate.evaluation.fairness import difference_interval, fairness
from lockgate.evaluation.intervals import wilson
from lockgate.evaluation.scored import Scored
from lockgate.evaluation.slices import parts_of


def _found(scored, groups, metric):
    parts, _ = parts_of(pl.Series("group", groups), 0)
    return fairness("group", parts, scored, metric, 0.95, 200, 0)


def test_rates_and_gaps_by_hand():
    # a: 40 positive of which 30 called, 60 negative of which 6 called; b: 50, 25; 50, 20.
    labels = np.repeat([1, 1, 0, 0, 1, 1, 0, 0], [30, 10, 6, 54, 25, 25, 20, 30])
    scores = np.repeat([0.9, 0.1, 0.9, 0.1, 0.9, 0.1, 0.9, 0.1], [30, 10, 6, 54, 25, 25, 20, 30])
    found = _found(Scored("binary", labels, scores), ["a"] * 100 + ["b"] * 100, "roc_auc")
    a, b = found.groups
    assert (a.selection, a.true_positive, a.false_positive) == pytest.approx((0.36, 0.75, 0.1))
    assert (b.selection, b.true_positive, b.false_positive) == pytest.approx((0.45, 0.5, 0.4))
    gaps = {g.rate: g for g in found.gaps}
    assert set(gaps) == {"selection", "true_positive", "false_positive", "roc_auc"}
    assert (gaps["true_positive"].gap, gaps["true_positive"].highest) == (pytest.approx(0.25), "a")
    assert (gaps["false_positive"].gap, gaps["false_positive"].highest) == (pytest.approx(0.3), "b")
    assert gaps["false_positive"].low > 0
    assert gaps["selection"].low < 0
    assert gaps["true_positive"].rows == 90


def test_newcombes_interval():
    # Newcombe (1998), table II, example (a): 56/70 against 48/80, method 10: 0.0524 to 0.3339.
    a, b = ((hits / rows, *wilson(hits, rows, 0.95)) for hits, rows in ((56, 70), (48, 80)))
    assert difference_interval(a, b) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_small_groups_are_not_judged():
    rng = np.random.default_rng(0)
    scored = Scored("binary", rng.integers(0, 2, 120), rng.random(120))
    found = _found(scored, ["a"] * 100 + ["b"] * 20, "roc_auc")
    assert found.groups[1].selection is None
    assert found.groups[1].note == "20 rows are too few to judge; at least 30 are needed"
    assert found.gaps == ()


def test_regression_compares_mean_errors():
    rng = np.random.default_rng(0)
    scored = Scored("regression", np.zeros(200), np.r_[rng.normal(1, 1, 100), rng.normal(0, 1, 100)])
    gaps = {g.rate: g for g in _found(scored, ["a"] * 100 + ["b"] * 100, "rmse").gaps}
    assert gaps["mean_error"].gap == pytest.approx(1, abs=0.3)
    assert gaps["mean_error"].low > 0.5
    assert gaps["rmse"].highest == "a"


def test_multiclass_compares_accuracy_once():
    rng = np.random.default_rng(0)
    scored = Scored("multiclass", rng.integers(0, 3, 200), rng.dirichlet(np.ones(3), 200))
    groups = ["a"] * 100 + ["b"] * 100
    assert [g.rate for g in _found(scored, groups, "log_loss").gaps] == ["log_loss", "accuracy"]
    found = _found(scored, groups, "accuracy")
    assert [g.rate for g in found.gaps] == ["accuracy"]
    assert found.groups[0].accuracy == found.groups[0].score


def test_equal_groups_are_called_unequal_as_rarely_as_promised():
    alarms = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        scored = Scored("binary", np.ones(300, int), rng.random(300))
        groups = ["a"] * 100 + ["b"] * 100 + ["c"] * 100
        gaps = {g.rate: g for g in _found(scored, groups, "accuracy").gaps}
        alarms += gaps["true_positive"].low > 0
    assert binomtest(alarms, 300, 0.05, alternative="greater").pvalue > 0.001, alarms
