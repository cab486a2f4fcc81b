"""Confidence intervals cover what they should, and closed forms agree with the bootstrap."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from scipy.stats import bootstrap as scipy_bootstrap
from sklearn.metrics import average_precision_score, roc_auc_score

from lockgate.evaluation.intervals import delong, interval, normal_quantile, scores, wilson
from lockgate.evaluation.ranks import auc_influence, average_precision, deviation, median_error, midranks
from lockgate.evaluation.resample import bootstrap, resamples_for, weights
from lockgate.evaluation.scored import Scored


def _binary(rows, seed, shift=1.0):
    rng = np.random.default_rng(seed)
    labels = (rng.random(rows) < 0.3).astype(np.int64)
    score = rng.normal(labels * shift)
    return Scored("binary", labels, 1 / (1 + np.exp(-score)))


def test_delong_by_its_textbook_sums():
    labels = np.array([1, 1, 1, 0, 0, 0, 0])
    x = np.array([0.9, 0.6, 0.4, 0.5, 0.4, 0.2, 0.1])
    wins = (x[:3, None] > x[None, 3:]) + 0.5 * (x[:3, None] == x[None, 3:])
    area, influence = auc_influence(labels, x)
    assert area == pytest.approx(wins.mean())
    expected = math.sqrt(wins.mean(axis=1).var(ddof=1) / 3 + wins.mean(axis=0).var(ddof=1) / 4)
    assert deviation(influence, labels) == pytest.approx(expected)
    assert influence.mean() == pytest.approx(0, abs=1e-12)


def test_delong_agrees_with_the_bootstrap():
    scored = _binary(1500, seed=3)
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(600):
        rows = rng.integers(0, scored.rows, scored.rows)
        draws.append(roc_auc_score(scored.labels[rows], scored.predictions[rows]))
    low, high = delong(scored, 0.95)
    assert (high - low) / (2 * normal_quantile(0.95)) == pytest.approx(np.std(draws), rel=0.12)


def test_delong_covers_the_true_area():
    # Normal scores one standard deviation apart: the area is Φ(1/√2).
    true = 0.5 * (1 + math.erf(0.5))
    inside = 0
    for seed in range(400):
        low, high = delong(_binary(200, seed), 0.95)
        inside += low <= true <= high
    assert binomtest(inside, 400, 0.95).pvalue > 0.001, inside


def test_an_area_without_an_error_has_an_honest_interval():
    scored = Scored("binary", np.array([0] * 40 + [1] * 10), np.array([0.1] * 40 + [0.9] * 10))
    assert delong(scored, 0.95) == pytest.approx((0.025 ** (1 / 10), 1.0))


def test_wilson_is_scipys():
    for hits, rows in ((0, 5), (3, 9), (950, 1000), (7, 7)):
        theirs = binomtest(hits, rows).proportion_ci(0.9, method="wilson")
        assert wilson(hits, rows, 0.9) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    assert wilson(0, 0, 0.95) == (0, 1)


def test_the_mean_absolute_errors_interval_covers_the_truth():
    true = math.sqrt(2 / math.pi)
    inside = 0
    for seed in range(200):
        errors = np.random.default_rng(seed).normal(size=150)
        low, high = interval("mae", Scored("regression", np.zeros(150), errors), 0.95, 400, seed)
        inside += low <= true <= high
    assert binomtest(inside, 200, 0.94).pvalue > 0.001, inside


def test_the_bootstrap_is_scipys():
    errors = np.random.default_rng(5).normal(size=300)
    ours = interval("rmse", Scored("regression", np.zeros(300), errors), 0.95, 4000, 1)
    theirs = scipy_bootstrap(
        (errors,),
        lambda e, axis: np.sqrt((e**2).mean(axis=axis)),
        method="percentile",
        n_resamples=4000,
        rng=1,
    ).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.006)


def test_weighted_average_precision_and_median_equal_repeated_rows():
    scored = _binary(60, seed=9)
    scored.predictions[:20] = 0.5
    errors = Scored("regression", np.zeros(60), np.random.default_rng(1).normal(size=60))
    for line in np.concatenate(list(weights(60, 5, seed=2))):
        rows = np.repeat(np.arange(60), line.astype(int))
        expected = average_precision_score(scored.labels[rows], scored.predictions[rows])
        assert average_precision(scored, line[None])[0] == pytest.approx(expected)
        assert median_error(errors, line[None])[0] == pytest.approx(
            np.median(np.abs(errors.predictions[rows]))
        )


def test_draws_are_paired_and_depend_on_the_seed_alone():
    model = _binary(400, seed=1)
    draws = bootstrap([model, model], ["log_loss", "f1", "pr_auc"], 50, seed=4)
    for name in ("log_loss", "f1", "pr_auc"):
        assert (draws[0, name] == draws[1, name]).all()
        assert draws[0, name].std() > 0
    again = bootstrap([model], ["f1"], 50, seed=4)
    assert (again[0, "f1"] == draws[0, "f1"]).all()
    assert (bootstrap([model], ["f1"], 50, seed=5)[0, "f1"] != draws[0, "f1"]).any()


def test_every_interval_holds_its_value():
    found = scores([_binary(800, seed=6), _binary(800, seed=6, shift=0.2)], 0.95, 300, seed=0)
    for metric in (m for model in found for m in model):
        assert metric.rows == 800
        if metric.name == "ece":
            assert metric.low is None
        else:
            assert metric.low < metric.value < metric.high, metric


def test_five_models_on_29_thousand_rows_take_seconds():
    models = [_binary(29_000, seed=0).at(0.3 + i / 10) for i in range(5)]
    start = time.process_time()
    scores(models, 0.95, 1000, seed=0)
    assert time.process_time() - start < 25


def test_fewer_resamples_for_very_many_rows():
    assert resamples_for(29_000, 1000) == 1000
    assert resamples_for(10_000_000, 1000) == 200


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=30))
def test_midranks_share_ties(values):
    x = np.array(values, dtype=float)
    expected = [(x < v).sum() + ((x == v).sum() + 1) / 2 for v in x]
    assert midranks(x) == pytest.approx(expected)
