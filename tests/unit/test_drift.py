"""Drift: identical distributions never fail, different ones do, and chance is allowed for."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.data.checks.allowance import chi_square_quantile, of_divergence, of_frequencies
from lockgate.data.checks.shift import jensen_shannon, shift_between
from lockgate.data.profile import ColumnProfile
from lockgate.data.statistics import column_profile
from lockgate.data.summary import summarise
from lockgate.project import Feature

CONFIDENCE = 0.999
NUMBERS = st.lists(
    st.one_of(st.none(), st.floats(-1e9, 1e9), st.sampled_from([0.0, math.inf])), min_size=1, max_size=60
)
TEXTS = st.lists(st.one_of(st.none(), st.sampled_from("abcdef")), min_size=1, max_size=60)


def of(values: list[object] | np.ndarray, kind: str) -> ColumnProfile:
    series = pl.Series(values, dtype=pl.Float64 if kind == "number" else pl.String)
    return column_profile(summarise(series, kind), Feature(), series.dtype)  # type: ignore[arg-type]


@given(NUMBERS, st.integers(1, 4))
def test_numbers_never_drift_from_themselves(values: list[float | None], times: int) -> None:
    found = shift_between(of(values, "number"), of(values * times, "number"), CONFIDENCE)
    assert found is not None
    if times == 1:
        assert found.value == pytest.approx(0.0, abs=1e-9)
    assert found.value <= 0.1 + found.allowance


@given(TEXTS, st.integers(1, 4))
def test_categories_never_drift_from_themselves(values: list[str | None], times: int) -> None:
    found = shift_between(of(values, "category"), of(values * times, "category"), CONFIDENCE)
    assert found is not None
    assert found.value == pytest.approx(0.0, abs=1e-12)


@given(NUMBERS, NUMBERS)
def test_divergence_is_symmetric_and_bounded(one: list[float | None], two: list[float | None]) -> None:
    there = shift_between(of(one, "number"), of(two, "number"), CONFIDENCE)
    back = shift_between(of(two, "number"), of(one, "number"), CONFIDENCE)
    assert there is not None
    assert back is not None
    assert 0 <= there.value <= 1
    assert there.value == pytest.approx(back.value, abs=1e-9)


def test_divergence_of_distributions_that_do_not_meet_is_one() -> None:
    found = shift_between(of([1.0, 2.0] * 50, "number"), of([11.0, 12.0] * 50, "number"), CONFIDENCE)
    assert found is not None
    assert found.value == pytest.approx(1.0, abs=0.02)
    assert jensen_shannon(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(1.0)
    assert jensen_shannon(np.array([0.5, 0.5]), np.array([0.25, 0.75])) == pytest.approx(0.0488, abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(30, 3000), st.integers(30, 3000))
def test_samples_of_one_distribution_stay_within_the_allowance(seed: int, n: int, m: int) -> None:
    """The allowance alone covers chance: no limit is needed on top."""
    rng = np.random.default_rng(seed)
    numbers = shift_between(of(rng.normal(size=n), "number"), of(rng.normal(size=m), "number"), 1 - 1e-6)
    texts = [rng.choice(list("abcdefgh"), size, p=[0.6, 0.2, 0.1, *[0.02] * 5]) for size in (n, m)]
    categories = shift_between(of(texts[0], "category"), of(texts[1], "category"), 1 - 1e-6)
    assert numbers is not None
    assert categories is not None
    assert numbers.value <= 1.5 * numbers.allowance
    assert categories.value <= categories.allowance


def test_a_real_shift_of_many_rows_is_seen() -> None:
    rng = np.random.default_rng(0)
    found = shift_between(
        of(rng.normal(size=5000), "number"), of(rng.normal(1.5, size=5000), "number"), CONFIDENCE
    )
    assert found is not None
    assert found.value > 0.15 + found.allowance


def test_few_rows_prove_nothing() -> None:
    found = shift_between(
        of(["a"] * 6 + ["b"] * 4, "category"), of(["a"] * 2 + ["b"] * 3, "category"), CONFIDENCE
    )
    assert found is not None
    assert found.value < found.allowance


def test_rounding_is_no_drift() -> None:
    rng = np.random.default_rng(0)
    rain = np.where(rng.random(5000) < 0.2, rng.gamma(1, size=5000), 0.0)
    found = shift_between(of(rain, "number"), of(rain - 1e-15, "number"), CONFIDENCE)
    assert found is not None
    assert found.value < 0.001


def test_allowances_shrink_with_rows() -> None:
    assert of_frequencies(100, 5, 0.999) > of_frequencies(10_000, 5, 0.999) > of_frequencies(10_000, 2, 0.9)
    assert of_frequencies(10_000, 10**10, 0.999) == of_frequencies(10_000, 10**12, 0.999)
    assert of_frequencies(1000, 2, 0.95) == pytest.approx(math.sqrt(math.log(80) / 2000))
    assert of_divergence(0, 10, 20, 0.999) == 1.0
    assert of_divergence(10**6, 10**6, 22, 0.999) < 1e-4


@pytest.mark.parametrize(
    ("freedom", "probability", "expected"), [(21, 0.999, 46.80), (1, 0.95, 3.84), (10, 0.99, 23.21)]
)
def test_chi_square_quantiles(freedom: int, probability: float, expected: float) -> None:
    assert chi_square_quantile(freedom, probability) == pytest.approx(expected, rel=0.03)
