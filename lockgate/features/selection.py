"""Which features the model does not get, and why: no value, one value, a copy, or nothing to say."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from lockgate.data.profile import CategoryProfile, ColumnProfile, DateProfile, NumberProfile
from lockgate.features.spec import Dropped
from lockgate.project import Selection

Codes = np.ndarray[Any, np.dtype[np.int64]]


def select(
    columns: Mapping[str, ColumnProfile],
    rules: Selection,
    are_equal: Callable[[str, str], bool],
    information: Callable[[str], float],
) -> tuple[Dropped, ...]:
    """The features to drop, each with its reason. Those in `rules.keep` stay whatever they hold.

    Args:
        columns: the profile of every feature in the training rows, in their order.
        rules: what to drop.
        are_equal: whether two columns hold the same values in every training row; asked only for columns
            whose profiles are the same.
        information: a feature's mutual information with the label, in nats; asked only where
            `rules.min_information` is set.
    """
    dropped: dict[str, str] = {}
    for name, profile in columns.items():
        if name in rules.keep:
            continue
        earlier = [n for n in columns if n not in dropped]
        reason = (
            _emptiness(profile)
            or (_constancy(profile) if rules.drop_constant else "")
            or (_copy(name, columns, earlier, are_equal) if rules.drop_duplicated else "")
            or (_silence(information(name), rules.min_information) if rules.min_information else "")
        )
        if reason:
            dropped[name] = reason
    return tuple(Dropped(name=name, reason=reason) for name, reason in dropped.items())


def _emptiness(profile: ColumnProfile) -> str:
    known = profile.rows - profile.missing - (profile.infinite if isinstance(profile, NumberProfile) else 0)
    return "" if known else f"It has no value in any of the {profile.rows:,} training rows."


def _constancy(profile: ColumnProfile) -> str:
    missing = profile.missing + (profile.infinite if isinstance(profile, NumberProfile) else 0)
    if missing:
        return ""  # whether the value is there at all may tell something
    match profile:
        case NumberProfile():
            only = f"{profile.min:g}" if profile.min == profile.max else ""
        case CategoryProfile():
            only = repr(profile.values[0][0]) if profile.distinct == 1 else ""
        case DateProfile():
            only = str(profile.min) if profile.min == profile.max else ""
    return f"It is {only} in every training row." if only else ""


def _copy(
    name: str,
    columns: Mapping[str, ColumnProfile],
    earlier: Sequence[str],
    are_equal: Callable[[str, str], bool],
) -> str:
    before = [n for n in earlier if list(columns).index(n) < list(columns).index(name)]
    twin = next((n for n in before if columns[n] == columns[name] and are_equal(n, name)), None)
    return f"It is the same as {twin} in every training row." if twin else ""


def _silence(information: float, limit: float) -> str:
    if information >= limit:
        return ""
    return f"Its mutual information with the label is {information:.4f} nats, below {limit:g}."


def codes(series: pl.Series, places: int = 32) -> Codes:
    """A column cut into at most `places` groups: quantile ranges of numbers and dates, frequent categories.

    Missing values are group 0.
    """
    if series.dtype.is_numeric() or series.dtype.is_temporal():
        values = series.to_physical().cast(pl.Float64).fill_null(float("nan")).to_numpy()
        known = np.isfinite(values)
        if not known.any():
            return np.zeros(len(values), dtype=np.int64)
        edges = np.unique(np.quantile(values[known], np.linspace(0, 1, places)[1:-1]))
        found = 1 + np.searchsorted(edges, values, side="right")
        return np.where(known, found, 0).astype(np.int64)
    text = series.cast(pl.String).fill_null("")
    frequent = text.value_counts(sort=True).head(places - 2).get_column(series.name).to_list()
    place = {value: i + 2 for i, value in enumerate(frequent)} | {"": 0}
    return text.replace_strict(place, default=1, return_dtype=pl.Int64).to_numpy()


def mutual_information(left: Codes, right: Codes) -> float:
    """The mutual information of two coded columns in nats, corrected for sample size, at least 0.

    The plug-in estimate minus (a-1)(b-1)/2n for a and b groups and n rows (Miller, 1955: Note on the bias of
    information estimates), without which rare groups look informative.
    """
    _, left = np.unique(left, return_inverse=True)
    _, right = np.unique(right, return_inverse=True)
    a, b, n = int(left.max()) + 1, int(right.max()) + 1, len(left)
    joint = np.bincount(left * b + right, minlength=a * b).reshape(a, b) / n
    independent = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    seen = joint > 0
    plug_in = float((joint[seen] * np.log(joint[seen] / independent[seen])).sum())
    return max(0.0, plug_in - (a - 1) * (b - 1) / (2 * n))
