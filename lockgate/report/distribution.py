"""Profiles as a few shares per split, on common intervals, and how far two of them lie apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from lockgate.data.profile import CategoryProfile, ColumnProfile, NumberProfile

BINS = 22
TOP = 10
_TAIL = 0.005


@dataclass(frozen=True)
class Shares:
    """A column in a few numbers, by the name of what is compared (splits, or "before" and "now").

    `names` are the intervals or categories, in drawing order; `shares` add up to 1 with the missing rows
    and with `rest`: the values of a category that are not named, by sample.
    """

    names: tuple[str, ...]
    shares: Mapping[str, tuple[float, ...]]
    missing: Mapping[str, float]
    rest: Mapping[str, float] = field(default_factory=dict)


def shares_of(profiles: Mapping[str, ColumnProfile]) -> Shares:
    """The shares of one column in each of several samples.

    When a column is of several kinds, numbers go before categories, and the other kinds have no shares.
    """
    missing = {name: p.missing / p.rows for name, p in profiles.items() if p.rows}
    numbers = {k: p for k, p in profiles.items() if isinstance(p, NumberProfile)}
    if numbers:
        return _numbers(numbers, missing)
    categories = {k: p for k, p in profiles.items() if isinstance(p, CategoryProfile)}
    return _categories(categories, missing)


def _numbers(profiles: Mapping[str, NumberProfile], missing: Mapping[str, float]) -> Shares:
    known = {name: np.asarray(p.quantiles) for name, p in profiles.items() if p.quantiles}
    if not known:
        return Shares((), dict.fromkeys(profiles, ()), missing)
    edges = _edges(list(known.values()), all(profiles[name].is_integer for name in known))
    shares = {}
    for name, p in profiles.items():
        if name not in known:
            shares[name] = (0.0,) * (len(edges) - 1)
            continue
        # The 1,001 quantiles stand for the finite values; those beyond the edges count in the outer bins.
        counts, _ = np.histogram(np.clip(known[name], edges[0], edges[-1]), bins=edges)
        finite = 1 - (p.missing + p.infinite) / p.rows
        shares[name] = tuple(float(c) for c in counts / counts.sum() * finite)
    names = tuple(f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges))
    return Shares(names, shares, missing)


def _edges(quantiles: Sequence[np.ndarray], whole: bool) -> np.ndarray:
    last = len(quantiles[0]) - 1
    cut = round(_TAIL * last)
    low = min(float(q[cut]) for q in quantiles)
    high = max(float(q[last - cut]) for q in quantiles)
    if whole and high - low < BINS:
        return np.arange(low - 0.5, high + 1.0, 1.0)
    if low == high:
        width = abs(low) * 0.01 or 0.5
        return np.linspace(low - width, high + width, 4)
    if whole:
        step = np.ceil((high - low + 1) / BINS)
        return np.arange(low - 0.5, high + step, step)
    return np.linspace(low, high, BINS + 1)


def _categories(profiles: Mapping[str, CategoryProfile], missing: Mapping[str, float]) -> Shares:
    if not profiles:
        return Shares((), {}, missing)
    totals: dict[str, float] = {}
    for p in profiles.values():
        for value, n in p.values[: TOP * 4]:
            totals[value] = totals.get(value, 0.0) + n / max(p.rows, 1)
    names = tuple(sorted(totals, key=lambda v: (-totals[v], v))[:TOP])
    counts = {name: dict(p.values) for name, p in profiles.items()}
    shares = {
        name: tuple(counts[name].get(value, 0) / max(p.rows, 1) for value in names)
        for name, p in profiles.items()
    }
    rest = {name: max(1.0 - sum(own) - missing.get(name, 0.0), 0.0) for name, own in shares.items()}
    return Shares(names, shares, missing, rest)


def distance(one: ColumnProfile, other: ColumnProfile) -> float | None:
    """The Jensen-Shannon distance of two samples of a column, missing values included: from 0 to 1.

    The square root of the divergence to base 2 (Endres and Schindelin, 2003). 0 is the
    same, 1 has nothing in common. Categories are compared one by one, numbers by
    intervals. None when the kinds differ or a sample has no rows.
    """
    if one.kind != other.kind or not one.rows or not other.rows:
        return None
    if isinstance(one, CategoryProfile) and isinstance(other, CategoryProfile):
        p, q = _by_value(one, other)
    elif isinstance(one, NumberProfile) and isinstance(other, NumberProfile):
        shares = _numbers({"one": one, "other": other}, {})
        p, q = np.asarray(shares.shares["one"]), np.asarray(shares.shares["other"])
    else:
        return None
    p, q = _with_rest(p, one.missing / one.rows), _with_rest(q, other.missing / other.rows)
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    return float(np.sqrt(min(max(divergence, 0.0), 1.0)))


def _by_value(one: CategoryProfile, other: CategoryProfile) -> tuple[np.ndarray, np.ndarray]:
    first, second = dict(one.values), dict(other.values)
    names = sorted(first.keys() | second.keys())
    return (
        np.array([first.get(n, 0) for n in names]) / one.rows,
        np.array([second.get(n, 0) for n in names]) / other.rows,
    )


def _with_rest(shares: np.ndarray, missing: float) -> np.ndarray:
    rest = max(1.0 - float(shares.sum()) - missing, 0.0)
    return np.concatenate([shares, [missing, rest]])


def _relative_entropy(p: np.ndarray, q: np.ndarray) -> float:
    held = p > 0
    return float((p[held] * np.log2(p[held] / q[held])).sum())
