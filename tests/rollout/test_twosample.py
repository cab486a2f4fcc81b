"""E-values by exact enumeration: whatever the shares within the bound, none is worth more than 1."""

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from lockgate.rollout.shares import harm_logs, safe_logs
from lockgate.rollout.twosample import inside, log_e, log_mean, nearest

SHARE = st.one_of(st.floats(0, 1), st.floats(0, 0.02), st.floats(0.98, 1), st.sampled_from([0.0, 0.5, 1.0]))
BOUND = st.one_of(st.floats(-0.95, 0.95), st.sampled_from([0.0, 0.01, -0.01, 0.9, -0.9]))
COUNT = st.integers(1, 9)


def expected(log: object, n_a: int, n_b: int, share_a: float, share_b: float) -> np.ndarray:
    """The expectation of e-values over all hits of both; `log` has them as its first two axes."""
    return np.tensordot(np.outer(chances(n_a, share_a), chances(n_b, share_b)), np.exp(log), axes=2)


def chances(n: int, share: float) -> np.ndarray:
    """Of each number of hits; scipy's overflow at shares near 0."""
    return np.array([comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n + 1)])


def within(share_a: float, share_b: float, bound: float) -> tuple[float, float]:
    """Two shares of the null hypothesis, on its border where these are not of it."""
    if share_a - share_b <= bound:
        return share_a, share_b
    share_b = min(max(share_b, -bound), 1 - bound, 1.0)
    return min(max(share_b + bound, 0.0), 1.0), max(share_b, 0.0)


@settings(max_examples=300, deadline=None)
@given(COUNT, COUNT, SHARE, SHARE, SHARE, SHARE, BOUND)
def test_no_null_hypothesis_makes_a_block_worth_more_than_one(
    n_a: int, n_b: int, q_a: float, q_b: float, share_a: float, share_b: float, bound: float
) -> None:
    share_a, share_b = within(share_a, share_b, bound)
    k_a, k_b = np.meshgrid(np.arange(n_a + 1), np.arange(n_b + 1), indexing="ij")
    value = expected(log_e(n_a, k_a, n_b, k_b, q_a, q_b, bound), n_a, n_b, share_a, share_b)
    assert value <= 1 + 1e-6


@settings(max_examples=100, deadline=None)
@given(COUNT, COUNT, SHARE, SHARE, SHARE, st.floats(0, 0.3))
def test_neither_harm_nor_safety_is_worth_more_than_one_where_it_is_not(
    n_c: int, n_s: int, level: float, share_c: float, share_s: float, tolerance: float
) -> None:
    k_c, k_s = (k[..., None] for k in np.meshgrid(np.arange(n_c + 1), np.arange(n_s + 1), indexing="ij"))
    given_level = np.array([level])
    near_c = min(max(share_c, share_s - tolerance), share_s + tolerance)
    harm = harm_logs(n_c, k_c, n_s, k_s, given_level, tolerance, (1.5, 8.0), True)
    assert expected(harm, n_c, n_s, near_c, share_s).max() <= 1 + 1e-6
    margin = tolerance + 0.05
    # Worse by the margin or more, in the one direction that counts here.
    far_s = min(share_s, 1 - margin)
    far_c = max(share_c, far_s + margin)
    safe = safe_logs(n_c, k_c, n_s, k_s, given_level, (margin,), False)
    assert expected(safe, n_c, n_s, far_c, far_s).max() <= 1 + 1e-6


def test_it_grows_where_the_alternative_is_true() -> None:
    k_a, k_b = np.meshgrid(np.arange(10), np.arange(10), indexing="ij")
    log = log_e(9, k_a, 9, k_b, 0.6, 0.2, 0.1)
    chance = np.outer(chances(9, 0.6), chances(9, 0.2))
    assert (chance * log).sum() > 0.5
    assert log_e(9, 9, 0, 0, 0.6, 0.2, 0.1) == 0, "one revision alone proves nothing"


@settings(max_examples=200, deadline=None)
@given(SHARE, SHARE, st.floats(0.001, 0.999), BOUND)
def test_the_nearest_point_is_the_nearest(q_a: float, q_b: float, share: float, bound: float) -> None:
    q_a, q_b = float(inside(q_a)), float(inside(q_b))

    def distance(theta: float) -> float:
        above = theta + bound
        return -share * (q_a * np.log(above) + (1 - q_a) * np.log(1 - above)) - (1 - share) * (
            q_b * np.log(theta) + (1 - q_b) * np.log(1 - theta)
        )

    near_a, near_b = nearest(np.array(q_a), np.array(q_b), np.array(share), np.array(bound))
    assert near_a - near_b == pytest.approx(bound, abs=1e-12)
    ends = (max(0.0, -bound) + 1e-9, min(1.0, 1 - bound) - 1e-9)
    best = minimize_scalar(distance, bounds=ends, method="bounded", options={"xatol": 1e-12})
    assert distance(float(near_b)) <= best.fun + 1e-9


def test_the_mean_of_logarithms_bears_large_ones() -> None:
    assert log_mean(np.array([1000.0, 0.0])) == pytest.approx(1000 - np.log(2))
    assert log_mean(np.array([0.0, 0.0])) == 0
