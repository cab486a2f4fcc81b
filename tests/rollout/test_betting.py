"""Bets by exact enumeration: on a mean, on a share, on the mean ranks of two histograms."""

from itertools import product
from math import factorial, prod

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from lockgate.rollout import betting
from lockgate.rollout.measures.split import log_e_split
from lockgate.rollout.ranks import log_e_moved, ranks

# scipy's binomial overflows at shares nearer to 0.
SHARE = st.one_of(st.floats(0, 1), st.floats(1e-9, 0.02), st.floats(0.98, 1)).map(
    lambda p: p if p > 1e-9 else 0.0
)
WEIGHTS = st.lists(st.floats(0, 1), min_size=3, max_size=3).filter(lambda w: sum(w) > 0.01)


@settings(max_examples=200, deadline=None)
@given(st.floats(0.01, 0.99), st.floats(0, 1), WEIGHTS, st.sampled_from([0.0, -1.0]))
def test_no_mean_up_to_the_limit_makes_bets_worth_more_than_one(
    limit: float, scale: float, weights: list[float], low: float
) -> None:
    chances = np.array(weights) / sum(weights)
    values = np.array([low, (low + 1) / 2, 1.0])
    mean = float(chances @ values)
    # Drawn towards the smallest value until the mean is within the limit.
    if mean > limit:
        kept = scale * (limit - low) / (mean - low)
        chances = kept * chances + (1 - kept) * np.array([1.0, 0.0, 0.0])
    total = 0.0
    for places in product(range(3), repeat=4):
        chance = prod(chances[place] for place in places)
        total = total + chance * np.exp(betting.log_e(values[list(places)], limit, low))
    assert np.max(total) <= 1 + 1e-9


def test_bets_grow_where_the_mean_is_over_the_limit() -> None:
    assert betting.log_e([0.5] * 100, 0.1).max() > 5
    assert betting.log_e([0.05] * 100, 0.1).max() < 0


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 30), SHARE, SHARE, SHARE)
def test_no_share_up_to_the_limit_makes_it_worth_more_than_one(
    n: int, share: float, limit: float, alternative: float
) -> None:
    k = np.arange(n + 1)
    log = betting.log_e_share(n, k, limit, alternative)
    # The limit itself is kept off 0 and 1.
    share = min(share, max(limit, 1e-5))
    assert (binom.pmf(k, n, share) * np.exp(log)).sum() <= 1 + 1e-9


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 40), st.sampled_from([0.01, 0.05, 0.25, 0.5, 0.99]), st.floats(-1, 1))
def test_no_split_within_the_tolerance_makes_it_worth_more_than_one(
    n: int, wanted: float, off: float
) -> None:
    tolerance = 0.2
    share = wanted + off * max(tolerance * min(wanted, 1 - wanted), 0.005)
    k = np.arange(n + 1)
    log = log_e_split(np.full(n + 1, n), k, wanted, tolerance)
    assert (binom.pmf(k, n, share)[:, None] * np.exp(log)).sum(axis=0).max() <= 1 + 1e-9


def all_counts(n: int) -> list[tuple[int, int, int]]:
    return [(a, b, n - a - b) for a in range(n + 1) for b in range(n + 1 - a)]


def chance(counts: tuple[int, ...], shares: np.ndarray) -> float:
    ways = factorial(sum(counts)) // prod(map(factorial, counts))
    return ways * prod(float(p) ** k for p, k in zip(shares, counts, strict=True))


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 4), st.integers(1, 4), WEIGHTS, WEIGHTS, st.lists(SHARE, min_size=2, max_size=2),
    st.sampled_from([0.0, 0.05, 0.3]),
)  # fmt: skip
def test_no_distributions_within_the_tolerance_make_ranks_worth_more_than_one(
    n_c: int, n_s: int, weights_c: list[float], weights_s: list[float], level: list[float], tolerance: float
) -> None:
    stable, candidate = (np.array(weights) / sum(weights) for weights in (weights_s, weights_c))
    apart = float(np.abs(np.cumsum(candidate) - np.cumsum(stable)).max())
    if apart > tolerance:
        candidate = stable + (candidate - stable) * tolerance / apart
    below = np.sort(np.array(level))
    total = 0.0
    for k_c, k_s in product(all_counts(n_c), all_counts(n_s)):
        log = log_e_moved(n_c, np.cumsum(k_c)[:2], n_s, np.cumsum(k_s)[:2], below, tolerance)
        total = total + chance(k_c, candidate) * chance(k_s, stable) * np.exp(log)
    assert np.max(total) <= 1 + 1e-9


@settings(max_examples=50, deadline=None)
@given(WEIGHTS, st.lists(st.floats(0.1, 1), min_size=3, max_size=3))
def test_ranks_grow_where_the_distribution_has_moved(weights_c: list[float], weights_s: list[float]) -> None:
    stable, candidate = (np.array(weights) / sum(weights) for weights in (weights_s, weights_c))
    below_s, below_c = np.cumsum(stable)[:2], np.cumsum(candidate)[:2]
    _, r = ranks(below_s)
    assume(abs(float((candidate - stable) @ r)) > 0.1)
    log = log_e_moved(5000, 5000 * below_c, 5000, 5000 * below_s, below_s, 0.0)
    assert log.max() > 5


def test_ranks_without_one_side_say_nothing() -> None:
    below = np.array([0.3, 0.6])
    assert log_e_moved(0, below * 0, 100, below * 100, below, 0.0) == pytest.approx(np.zeros(4))
    assert log_e_moved(100, below * 100, 0, below * 0, below, 0.0) == pytest.approx(np.zeros(4))
