"""Checks on the label: whether it is there, whether it varies, and whether train knows every class."""

from collections.abc import Iterator

from lockgate.data.checks.rules import JUDGED, check
from lockgate.data.profile import CategoryProfile, ColumnProfile, NumberProfile, Profile
from lockgate.project import Project
from lockgate.records import Check, Split


def label_checks(profile: Profile, project: Project) -> Iterator[Check]:
    """The label in each judged split."""
    name = project.data.label
    for split in JUDGED:
        column = profile.splits[split][name]
        yield _missing(f"{name} in {split}", column, project)
        yield _varied(name, split, column)
    train = profile.splits["train"][name]
    if isinstance(train, CategoryProfile):
        yield _balance(name, train, project)
        for split in ("tune", "test"):
            later = profile.splits[split][name]
            if isinstance(later, CategoryProfile):
                yield _unknown(name, split, train, later)


def _missing(subject: str, column: ColumnProfile, project: Project) -> Check:
    limit = project.validation.limits.missing
    absent = column.missing + (column.infinite if isinstance(column, NumberProfile) else 0)
    share = absent / column.rows if column.rows else 1.0
    return check(
        "label_missing",
        subject,
        share <= limit and absent < column.rows,
        f"{subject}: {absent:,} of {column.rows:,} rows have no label ({share:.1%}); "
        f"the limit is {limit:.1%}.",
        value=share,
        limit=limit,
        rows=column.rows,
        advice="Check the source; rows without a label are left out of training and evaluation.",
    )


def _varied(name: str, split: Split, column: ColumnProfile) -> Check:
    if isinstance(column, CategoryProfile):
        found = ", ".join(f"{value!r} {count:,}" for value, count in column.values[:5])
        varied, what = column.distinct > 1, f"classes: {found or 'none'}"
    else:
        assert isinstance(column, NumberProfile)
        varied, what = column.max > column.min, f"values from {column.min:g} to {column.max:g}"
    return check(
        "label_classes",
        f"{name} in {split}",
        varied,
        f"{name} in {split} has {'' if varied else 'only '}{what}, in {column.rows:,} rows.",
        rows=column.rows,
        advice="A model needs rows of at least two classes. Change the spans of split, or the source.",
    )


def _balance(name: str, train: CategoryProfile, project: Project) -> Check:
    limit = project.validation.limits.minority
    value, count = train.values[-1] if train.values else ("none", 0)
    present = max(train.rows - train.missing, 1)
    return check(
        "label_balance",
        name,
        count / present >= limit,
        f"{name}: the rarest class, {value!r}, has {count:,} of {present:,} training rows "
        f"({count / present:.2%}); the limit is {limit:.2%}.",
        value=count / present,
        limit=limit,
        rows=present,
        advice="Set train.class_weight: balanced, gather more rows of it, or merge it with another class.",
    )


def _unknown(name: str, split: str, train: CategoryProfile, later: CategoryProfile) -> Check:
    known = {value for value, _ in train.values}
    new = [(value, count) for value, count in later.values if value not in known]
    some = ", ".join(f"{value!r} ({count:,} rows)" for value, count in new[:5])
    return check(
        "label_unknown",
        f"{name} in {split}",
        not new,
        f"{name} in {split} has {len(new):,} classes that train does not have{': ' + some if some else ''}.",
        value=float(len(new)),
        limit=0.0,
        rows=later.rows,
        advice="Change the spans or shares of split so that train holds every class.",
    )
