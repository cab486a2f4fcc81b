"""Values of categories that appear in tune or test for the first time, or that have gone."""

from collections.abc import Iterator
from math import log

from lockgate.data.checks.allowance import of_frequencies
from lockgate.data.checks.rules import check
from lockgate.data.profile import CategoryProfile, Profile
from lockgate.data.rowhash import shares_of_texts
from lockgate.project import Limits, Project
from lockgate.records import Check

SHOWN = 5


def category_checks(profile: Profile, project: Project) -> Iterator[Check]:
    """Each feature that is a category: tune and test against train."""
    limits = project.validation.limits
    for split in ("tune", "test"):
        columns = profile.splits[split]
        for name in project.features_of(list(columns)):
            train, later = profile.splits["train"][name], columns[name]
            if isinstance(train, CategoryProfile) and isinstance(later, CategoryProfile):
                yield _new(f"{name} in {split}", train, later, limits)
                yield _vanished(f"{name} in {split}", train, later, limits)


def _new(subject: str, train: CategoryProfile, later: CategoryProfile, limits: Limits) -> Check:
    """The share of rows whose value train does not hold.

    Where train has more values than are listed, it is estimated from the values with the smallest hashes,
    which both splits keep with exact counts.
    """
    known, seen, about = _comparable(train, later)
    new = {value: count for value, count in seen.items() if value not in known}
    rows = sum(seen.values())
    share = sum(new.values()) / rows if rows else 0.0
    limit = limits.new_categories + of_frequencies(rows, 1, limits.confidence)
    some = ", ".join(repr(v) for v in sorted(new, key=lambda v: (-new[v], v))[:SHOWN])
    named = f": {some}{', …' if len(new) > SHOWN else ''}" if new else ""
    return check(
        "new_categories",
        subject,
        share <= limit,
        f"{subject}: {about}{share:.2%} of the rows hold {len(new):,} values that train does not; "
        f"the limit is {limit:.2%} ({limits.new_categories:.2%} plus chance){named}.",
        value=share,
        limit=limit,
        rows=rows,
        advice="The model treats them as unknown. Train on newer rows, or group the values in the source.",
    )


def _comparable(train: CategoryProfile, later: CategoryProfile) -> tuple[set[str], dict[str, int], str]:
    """Values of train, and of the later split with counts; both whole, or both sampled alike."""
    if train.distinct <= len(train.values) and later.distinct <= len(later.values):
        return {value for value, _ in train.values}, dict(later.values), ""
    known = {value for value, _ in train.sample or train.values}
    if not train.sample and train.distinct > len(train.values):
        return known, {v: c for v, c in later.values if v in known}, "at least "
    seen = dict(later.sample or later.values)
    if train.sample:
        places = shares_of_texts(list(seen))
        seen = {
            v: c for (v, c), place in zip(seen.items(), places, strict=True) if place <= train.sample_hash
        }
    return known, seen, "about "


def _vanished(subject: str, train: CategoryProfile, later: CategoryProfile, limits: Limits) -> Check:
    """Values of train that are absent although chance would show them with probability `confidence`.

    A value with share p is absent from n rows with probability (1 - p)^n ≤ exp(-pn); Bonferroni's bound
    over all values asks for exp(-pn) < (1 - confidence) / values.
    """
    seen = {value for value, _ in later.values}
    alpha = max(1 - limits.confidence, 1e-12)
    needed = log(max(train.distinct, 1) / alpha)
    complete = later.distinct <= len(later.values)
    gone = [
        (value, count)
        for value, count in train.values
        if complete and value not in seen and count / train.rows * later.rows > needed
    ]
    some = ", ".join(f"{value!r} ({count:,} rows)" for value, count in gone[:SHOWN])
    listed = (
        f"train has {some}{', …' if len(gone) > SHOWN else ''}"
        if gone
        else "no frequent value of train is gone"
    )
    return check(
        "vanished_categories",
        subject,
        not gone,
        f"{subject}: {len(gone):,} values are gone that {later.rows:,} rows should show; {listed}.",
        value=float(len(gone)),
        limit=0.0,
        rows=later.rows,
        advice="Check whether the source lost them, or renamed them.",
    )
