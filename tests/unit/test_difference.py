"""How far two models lie apart on the same rows: small tables, and how often the bounds hold."""

import numpy as np
import pytest

from lockgate.evaluation.difference import difference
from lockgate.evaluation.scored import Scored

OTHER = "a" * 64


def binary(*scores, threshold=0.5) -> Scored:
    return Scored("binary", np.zeros(len(scores), dtype=np.int64), np.array(scores, dtype=float), threshold)


def test_the_same_answers_lie_nowhere_apart_and_the_bounds_know_the_rows():
    few, many = (difference(m, m, OTHER) for m in (binary(*[0.2] * 10), binary(*[0.2] * 10_000)))
    assert (few.labels, few.size, few.distance) == (many.labels, many.size, many.distance) == (0, 0, 0)
    assert many.labels_high < 0.001 < few.labels_high
    assert many.size_high < 0.002 < few.size_high
    assert many.distance_high < 0.01 < few.distance_high
    assert (many.rows, many.other) == (10_000, OTHER)


def test_each_model_decides_by_its_own_threshold():
    ours, theirs = binary(0.1, 0.3, 0.6, 0.9), binary(0.1, 0.3, 0.6, 0.9, threshold=0.2)
    found = difference(ours, theirs, OTHER)
    assert (found.labels, found.size, found.distance) == (0.25, 0, 0)


@pytest.mark.parametrize(
    ("ours", "theirs", "size", "distance"),
    [
        ((0.1, 0.2, 0.3, 0.4), (0.2, 0.3, 0.4, 0.5), 0.1, 0.25),
        ((0.0, 1.0), (1.0, 0.0), 1.0, 0.0),  # each row is apart, the distributions are not
        ((0.12, 0.12), (0.88, 0.88), 0.76, 1.0),
        ((0.11, 0.12), (0.13, 0.14), 0.02, 0.0),  # within one bin of the server's histogram
    ],
)
def test_size_and_distance(ours, theirs, size, distance):
    found = difference(binary(*ours), binary(*theirs), OTHER)
    assert (found.size, found.distance) == (pytest.approx(size), pytest.approx(distance))


def test_of_several_classes_the_answers_count_even_where_the_scores_are_alike():
    labels = np.zeros(4, dtype=np.int64)
    ours = Scored("multiclass", labels, np.array([[0.8, 0.1, 0.1]] * 4))
    theirs = Scored("multiclass", labels, np.array([[0.8, 0.1, 0.1]] * 2 + [[0.1, 0.8, 0.1]] * 2))
    found = difference(ours, theirs, OTHER)
    assert (found.labels, found.size, found.distance) == (0.5, 0, 0.5)


def test_a_regression_counts_in_standard_deviations_of_the_label():
    labels = np.array([0.0, 10.0, 20.0, 30.0])
    ours, theirs = (Scored("regression", labels, labels + shift) for shift in (0.0, 2.0))
    found = difference(ours, theirs, OTHER)
    assert (found.labels, found.labels_high) == (0, 0)
    assert found.size == pytest.approx(2 / np.std(labels))
    assert found.distance == 0.25
    assert difference(ours, Scored("regression", labels, labels + 1e6), OTHER).size == 1


def test_the_bounds_hold_as_often_as_they_say():
    """On samples of a population whose truth is known: each is exceeded in at most 5 % of them."""
    rng = np.random.default_rng(5)
    everyone = rng.random(200_000)
    shifted = np.clip(everyone + rng.normal(0.02, 0.05, everyone.size), 0, 1)
    truth = difference(binary(*everyone), binary(*shifted), OTHER)
    misses = np.zeros(3)
    samples = 400
    for _ in range(samples):
        rows = rng.integers(0, everyone.size, 800)
        found = difference(binary(*everyone[rows]), binary(*shifted[rows]), OTHER)
        misses += (
            found.labels_high < truth.labels,
            found.size_high < truth.size,
            found.distance_high < truth.distance,
        )
    # 5 % of 400 are 20; 35 have a chance of 0.1 %.
    assert misses.max() <= 35, misses
