"""The rivals of the bench are what they are said to be."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, norm

from bench.rollout import calibrate
from bench.rollout.contest import FLAGGER, KAYENTA, Z_TEST, measured
from bench.rollout.rivals import quantile, shift_z
from serving.runtime.metrics import SECONDS


@pytest.mark.parametrize("digits", [6, 1])
def test_the_rank_test_is_scipys(digits: int) -> None:
    """With ties and without; a tolerance of 0 is the plain test."""
    rng = np.random.default_rng(0)
    x, y = np.round(rng.normal(0.3, 1, (20, 15)), digits), np.round(rng.normal(0, 1, (20, 12)), digits)
    found = shift_z(x, y, 0.0)
    for place in range(20):
        wanted = mannwhitneyu(x[place], y[place], method="asymptotic", alternative="two-sided")
        # Two-sided, the correction for continuity goes towards the middle, as in Kayenta.
        assert 2 * norm.sf(abs(found[place])) == pytest.approx(wanted.pvalue, rel=1e-6)


def test_the_tolerance_takes_a_quarter_of_the_shift_back() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(1, 1, (10, 30)), rng.normal(0, 1, (10, 30))
    shift = np.median((x[:, :, None] - y[:, None, :]).reshape(10, -1), axis=1)
    assert shift_z(x, y, 0.25) == pytest.approx(shift_z(x - 0.25 * np.abs(shift)[:, None], y, 0.0))


def test_the_quantile_is_prometheus() -> None:
    histogram = np.zeros((1, len(SECONDS) + 1), dtype=int)
    histogram[0, SECONDS.index(0.05)] = 90
    histogram[0, SECONDS.index(0.1)] = 10
    assert quantile(histogram, 0.95) == pytest.approx([0.075 + 0.025 / 2])
    assert quantile(histogram, 0.45) == pytest.approx([0.03 + 0.02 / 2])


def test_limits_keep_to_alpha_in_the_worst_world() -> None:
    rng = np.random.default_rng(2)
    worlds = [rng.normal(size=(20, 2000, 3)), 2 * rng.normal(size=(20, 2000, 3))]
    for fails in (1, 3):
        found = calibrate.limits(worlds, 0.01, fails)
        shares = [calibrate.wrong(world, found, fails) for world in worlds]
        assert max(shares) <= 0.01
        assert max(shares) >= 0.007, "no limit is higher than it need be"


def test_alpha_is_that_of_the_worst_world() -> None:
    largest = [np.log(np.linspace(1, 10, 1000)), np.log(np.linspace(1, 100, 1000))]
    alpha = calibrate.alpha(largest, 0.01)
    assert [(world >= -np.log(alpha)).mean() <= 0.01 for world in largest] == [True, True]
    assert (largest[1] >= -np.log(alpha)).sum() >= 9


def test_documented_rules_do_what_they_are_known_for() -> None:
    """Flagger's tutorial: 1 % of errors is its very limit; Kayenta waits for 50 values; z objects at once."""
    assert np.isfinite(measured(FLAGGER, "errors5", 50, seed=1).back).all()
    kayenta = measured(KAYENTA, "errors5", 50, seed=1)
    assert kayenta.back.min() >= 500
    assert np.median(measured(Z_TEST, "errors5", 50, seed=1).back) <= 60
