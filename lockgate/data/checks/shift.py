"""Skew between splits, and drift between snapshots: how differently a column is distributed in two places."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lockgate.data.checks.allowance import of_divergence, of_frequencies
from lockgate.data.checks.rules import check
from lockgate.data.profile import CategoryProfile, ColumnProfile, NumberProfile, Profile
from lockgate.project import Project
from lockgate.records import Check

BINS = 20
SMALLEST_SHARE = 1e-12
ROUNDING = 1e-9


class Shift(NamedTuple):
    """How far two distributions lie apart, how far they may by chance, and the measure's name.

    `where` says in words where the difference is largest.
    """

    value: float
    allowance: float
    measure: str
    where: str


def shift_between(one: ColumnProfile, other: ColumnProfile, confidence: float) -> Shift | None:
    """How differently a column is distributed; missing values count as a value of their own.

    Categories: the L-infinity distance, the largest difference of a value's frequency. Numbers: the
    Jensen-Shannon divergence in bits over 20 ranges that hold equal shares of both together. None for
    dates, for columns of different kinds, and where there are no rows.
    """
    if not one.rows or not other.rows:
        return None
    if isinstance(one, CategoryProfile) and isinstance(other, CategoryProfile):
        return _of_categories(one, other, confidence)
    if isinstance(one, NumberProfile) and isinstance(other, NumberProfile):
        return _of_numbers(one, other, confidence)
    return None


def skew_checks(profile: Profile, project: Project) -> Iterator[Check]:
    """Each feature, and the label: tune and test against train."""
    limits = project.validation.limits
    for split in ("tune", "test"):
        for name in _subjects(profile, project):
            found = shift_between(
                profile.splits["train"][name],
                profile.splits[split][name],
                limits.confidence,
            )
            if found:
                subject = f"{name} in {split}"
                yield _checked("skew", subject, name, found, limits.skew, f"{split} and train", profile)


def drift_checks(profile: Profile, previous: Profile | None, project: Project) -> Iterator[Check]:
    """Each feature, and the label: the train split against that of the last snapshot that passed."""
    limits = project.validation.limits
    earlier = previous.splits.get("train", {}) if previous else {}
    for name in _subjects(profile, project):
        if name in earlier:
            found = shift_between(earlier[name], profile.splits["train"][name], limits.confidence)
            if found:
                yield _checked(
                    "drift", name, name, found, limits.drift, "the last snapshot and this", profile
                )


def _subjects(profile: Profile, project: Project) -> list[str]:
    return [*project.features_of(list(profile.splits["train"])), project.data.label]


def _checked(
    rule: str, subject: str, name: str, found: Shift, limit: float, between: str, profile: Profile
) -> Check:
    total = limit + found.allowance
    return check(
        rule,
        subject,
        found.value <= total,
        f"{name}: {found.measure} {found.value:.3f} between {between}; the limit is {total:.3f} "
        f"({limit:g} plus {found.allowance:.3f} for chance). {found.where}",
        value=found.value,
        limit=total,
        baseline=found.allowance,
        rows=profile.splits["train"][name].rows,
        advice="Look at the column on the data page; train on rows that resemble those to come, or "
        f"raise validation.limits.{rule}.",
    )


def _of_categories(one: CategoryProfile, other: CategoryProfile, confidence: float) -> Shift:
    shares = {value: count / one.rows for value, count in one.values}
    others = {value: count / other.rows for value, count in other.values}
    gaps = {value: others.get(value, 0.0) - shares.get(value, 0.0) for value in shares.keys() | others.keys()}
    gaps["(missing)"] = other.missing / other.rows - one.missing / one.rows
    value = max(gaps, key=lambda v: (abs(gaps[v]), v))
    allowance = sum(of_frequencies(column.rows, len(gaps), confidence) for column in (one, other))
    before = (
        others.get(value, 0.0) - gaps[value] if value in others or value in shares else one.missing / one.rows
    )
    where = f"The largest difference is {value!r}: {before:.1%}, then {before + gaps[value]:.1%}."
    return Shift(abs(gaps[value]), allowance, "L-infinity distance", where)


def _of_numbers(one: NumberProfile, other: NumberProfile, confidence: float) -> Shift:
    edges = _edges(np.array([*one.quantiles, *other.quantiles] or [0.0]))
    first, second = _shares(one, edges), _shares(other, edges)
    value = jensen_shannon(first, second)
    allowance = of_divergence(one.rows, other.rows, len(first), confidence)
    medians = [f"{c.quantiles[500]:g}" if c.quantiles else "none" for c in (one, other)]
    missing = [f"{c.missing / c.rows:.1%}" for c in (one, other)]
    where = f"The medians are {medians[0]} and {medians[1]}, missing {missing[0]} and {missing[1]}."
    return Shift(value, allowance, "Jensen-Shannon divergence", where)


def _edges(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The ends of 20 ranges of equal share; of edges that differ by rounding only, the largest."""
    edges = np.quantile(values, np.arange(1, BINS) / BINS, method="inverted_cdf")
    apart = np.diff(edges, append=np.inf) > ROUNDING * np.ptp(values)
    return edges[apart]


def _shares(column: NumberProfile, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shares of rows in the ranges (−∞, e0], (e0, e1], …, (en, ∞), of infinite and of missing ones."""
    at = np.array(column.quantiles)
    below = np.searchsorted(at, edges, side="right") / max(len(at), 1)
    finite = (column.rows - column.missing - column.infinite) / column.rows
    ranges = np.diff(below, prepend=0.0, append=1.0) * finite
    return np.array([*ranges, column.infinite / column.rows, column.missing / column.rows])


def jensen_shannon(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The Jensen-Shannon divergence of two distributions over the same bins, in bits: 0 to 1 (Lin, 1991)."""
    middle = np.maximum((one + other) / 2, SMALLEST_SHARE)
    logs = [np.log2(np.maximum(p, SMALLEST_SHARE) / middle) * p for p in (one, other)]
    return float(np.clip((logs[0].sum() + logs[1].sum()) / 2, 0.0, 1.0))
