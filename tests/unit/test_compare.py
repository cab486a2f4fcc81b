"""Paired comparisons: the right direction, the right error rate, agreement of closed form and bootstrap."""

import numpy as np
import pytest
from scipy.stats import binomtest

from lockgate.evaluation.compare import compare
from lockgate.evaluation.scored import Scored

HOW = {"other": "champion", "role": "champion", "confidence": 0.95, "resamples": 400, "seed": 0}


def _pair(rows, seed, better=0.0):
    """Two models that see the same signal through noise of their own; the first sees `better` more."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(rows) < 0.4).astype(np.int64)
    signal = labels + rng.normal(size=rows)
    ours = signal + better * labels + rng.normal(size=rows) * 0.5
    theirs = signal + rng.normal(size=rows) * 0.5
    return tuple(Scored("binary", labels, 1 / (1 + np.exp(-x))) for x in (ours, theirs))


def test_a_better_model_is_seen_to_be_better():
    found = compare("roc_auc", *_pair(3000, 1, better=0.5), **HOW)
    assert found.gain == pytest.approx(found.ours - found.theirs)
    assert 0 < found.low < found.gain < found.high
    assert found.p_value < 0.001
    assert found.test == "DeLong"


def test_a_lower_loss_is_a_gain():
    ours, theirs = _pair(3000, 1)
    spoilt = Scored("binary", theirs.labels, np.clip(theirs.predictions + 0.3, 0, 1))
    found = compare("log_loss", ours, spoilt, **HOW)
    assert found.ours < found.theirs
    assert found.low > 0
    assert found.p_value == pytest.approx(2 / 401)
    assert found.test == "paired bootstrap, 400 resamples"


@pytest.mark.parametrize("metric", ["roc_auc", "brier"])
def test_the_same_model_twice_is_no_difference(metric):
    ours, _ = _pair(200, 2)
    found = compare(metric, ours, ours, **HOW)
    assert (found.gain, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_delongs_paired_test_and_the_bootstrap_agree():
    ours, theirs = _pair(1500, 5, better=0.1)
    found = compare("roc_auc", ours, theirs, **HOW)
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(500):
        rows = rng.integers(0, ours.rows, ours.rows)
        draws.append(compare("roc_auc", ours.take(rows), theirs.take(rows), **HOW).gain)
    assert (found.high - found.low) / 3.92 == pytest.approx(np.std(draws), rel=0.13)


@pytest.mark.parametrize("metric", ["roc_auc", "brier"])
def test_equal_models_are_called_different_as_rarely_as_promised(metric):
    wrong = sum(compare(metric, *_pair(250, seed), **HOW).p_value < 0.05 for seed in range(300))
    assert binomtest(wrong, 300, 0.055).pvalue > 0.001, wrong


def test_multiclass_and_regression():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 600)
    good = rng.dirichlet(np.ones(3), 600) + 0.8 * np.eye(3)[labels]
    bad = rng.dirichlet(np.ones(3), 600) + 0.2 * np.eye(3)[labels]
    models = [Scored("multiclass", labels, p / p.sum(axis=1, keepdims=True)) for p in (good, bad)]
    for metric in ("roc_auc", "macro_f1", "log_loss"):
        assert compare(metric, *models, **HOW).low > 0
    actual = rng.normal(size=600)
    numbers = [Scored("regression", actual, actual + rng.normal(size=600) * s) for s in (0.5, 1.0)]
    for metric in ("rmse", "mae", "median_ae", "r2"):
        assert compare(metric, *numbers, **HOW).low > 0
