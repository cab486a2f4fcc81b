"""The distribution of a numeric column in bounded memory: weighted points, exact for few values."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
CAPACITY = 16_384


class Points(NamedTuple):
    """Values in ascending order, float64 [k], and how many rows each stands for, float64 [k].

    Up to 16,384 distinct values are kept exactly. Beyond, the rows are cut into 16,384 ranges of equal
    weight and each is stood for by its middle row, so that the rank of any value is wrong by at most half
    a range: 1/32,768 of the rows. Joining two such summaries and cutting again adds as much, so summaries
    are joined with their like, as in a merge tree (Munro and Paterson, Selection and sorting with limited
    storage, 1980): the error in rank stays below (2 + 2·log2(parts)) / 32,768 of all rows, 0.06 % for 200
    parts.
    """

    values: Numbers
    weights: Numbers

    @property
    def total(self) -> float:
        """How many rows the points stand for."""
        return float(self.weights.sum())


EMPTY = Points(np.empty(0), np.empty(0))


def from_sorted(values: Numbers) -> Points:
    """The points of finite values in ascending order."""
    if not len(values):
        return EMPTY
    changes = values[1:] != values[:-1]
    if np.count_nonzero(changes) < CAPACITY:
        starts = np.concatenate(([0], np.flatnonzero(changes) + 1))
        weights = np.diff(starts, append=len(values)).astype(np.float64)
        return Points(values[starts].astype(np.float64), weights)
    middles = ((np.arange(CAPACITY) + 0.5) * (len(values) / CAPACITY)).astype(np.int64)
    chosen = values[middles].astype(np.float64)
    return _collapsed(chosen, np.full(CAPACITY, len(values) / CAPACITY))


def from_counts(values: Numbers, counts: NDArray[np.int64]) -> Points:
    """The points of distinct finite values in ascending order with their counts."""
    return _cut(Points(values.astype(np.float64), counts.astype(np.float64)))


def merged(one: Points, other: Points) -> Points:
    """The points of both together."""
    if not len(one.values) or not len(other.values):
        return one if len(one.values) else other
    values = np.concatenate([one.values, other.values])
    weights = np.concatenate([one.weights, other.weights])
    order = np.argsort(values, kind="stable")
    return _cut(_collapsed(values[order], weights[order]))


def quantiles(points: Points, at: Numbers) -> Numbers:
    """The quantiles at the given probabilities, between the two nearest rows by linear interpolation."""
    if not len(points.values):
        return np.empty(0)
    ends = np.cumsum(points.weights)
    place = at * (ends[-1] - 1)
    low, high = np.floor(place), np.ceil(place)
    last = len(ends) - 1
    below = points.values[np.minimum(np.searchsorted(ends, low, side="right"), last)]
    above = points.values[np.minimum(np.searchsorted(ends, high, side="right"), last)]
    return np.asarray(below + (above - below) * (place - low))


def _collapsed(values: Numbers, weights: Numbers) -> Points:
    """The same points with equal values made one."""
    starts = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))
    return Points(values[starts], np.add.reduceat(weights, starts))


def _cut(points: Points) -> Points:
    """At most 16,384 points that stand for the same rows."""
    if len(points.values) <= CAPACITY:
        return points
    ends = np.cumsum(points.weights)
    middles = (np.arange(CAPACITY) + 0.5) * (ends[-1] / CAPACITY)
    chosen = points.values[np.searchsorted(ends, middles, side="right")]
    return _collapsed(chosen, np.full(CAPACITY, ends[-1] / CAPACITY))
