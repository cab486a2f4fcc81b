"""Checks on one column of one split: missing, infinite and out-of-range values, and values in no variety."""

from collections.abc import Iterator

from lockgate.data.checks.rules import JUDGED, check
from lockgate.data.profile import CategoryProfile, ColumnProfile, NumberProfile, Profile
from lockgate.project import Feature, Limits, Project
from lockgate.records import Check

FEW_ROWS_PER_CATEGORY = 10
MANY = 100
ROUNDING = 1e-9


def column_checks(profile: Profile, project: Project) -> Iterator[Check]:
    """Each feature in each judged split."""
    limits = project.validation.limits
    for split in JUDGED:
        columns = profile.splits.get(split, {})
        for name, feature in project.features_of(list(columns)).items():
            where = name if split == "train" else f"{name} in {split}"
            yield from _missing(where, columns[name], feature, limits)
            column = columns[name]
            if isinstance(column, NumberProfile):
                yield from _numbers(where, column, feature)
            if split == "train":
                yield from _variety(name, column, feature)


def _missing(where: str, column: ColumnProfile, feature: Feature, limits: Limits) -> Iterator[Check]:
    share = column.missing / column.rows if column.rows else 0.0
    sentence = f"{where}: {column.missing:,} of {column.rows:,} values are missing ({share:.1%})"
    numbers = {"value": share, "rows": column.rows}
    yield check(
        "all_missing",
        where,
        column.missing < column.rows,
        f"{where} has {'values' if column.missing < column.rows else 'no value at all'}"
        f" in {column.rows:,} rows.",
        advice="Check the source (a join that finds nothing?), or take the column out of features.",
        **numbers,
    )
    if feature.max_missing is not None:
        yield check(
            "max_missing",
            where,
            share <= feature.max_missing,
            f"{sentence}; features sets at most {feature.max_missing:.1%}.",
            limit=feature.max_missing,
            advice="Check the source, or raise max_missing of the feature.",
            **numbers,
        )
    elif column.missing < column.rows:
        yield check(
            "missing",
            where,
            share <= limits.missing,
            f"{sentence}; up to {limits.missing:.1%} are usual.",
            limit=limits.missing,
            advice="Check the source, take the column out of features, or set its max_missing.",
            **numbers,
        )


def _numbers(where: str, column: NumberProfile, feature: Feature) -> Iterator[Check]:
    yield check(
        "infinite",
        where,
        column.infinite == 0,
        f"{where}: {column.infinite:,} of {column.rows:,} values are infinite.",
        value=float(column.infinite),
        limit=0.0,
        rows=column.rows,
        advice="Mend the source (a division by zero?), or make them missing there.",
    )
    # Sums of floats end a little beside where they should: that is no reason to stop a run.
    rounding = ROUNDING * (column.max - column.min)
    for end, bound, limit, beyond in (
        ("smallest", column.min, feature.min, (feature.min or 0.0) - column.min),
        ("largest", column.max, feature.max, column.max - (feature.max or 0.0)),
    ):
        if limit is not None and column.quantiles:
            yield check(
                "range",
                where,
                beyond <= rounding,
                f"{where}: the {end} value is {bound:g}; the limit is {limit:g}.",
                value=bound,
                limit=limit,
                rows=column.rows,
                advice="Mend the source, or change the feature's min and max.",
            )


def _variety(name: str, column: ColumnProfile, feature: Feature) -> Iterator[Check]:
    present = column.rows - column.missing
    if isinstance(column, CategoryProfile):
        few = column.distinct > MANY and present < FEW_ROWS_PER_CATEGORY * column.distinct
        about = "about " if column.sample else ""
        yield check(
            "many_categories",
            name,
            not few and column.distinct <= feature.max_values,
            f"{name} has {about}{column.distinct:,} distinct values in {present:,} rows, "
            f"{present / max(column.distinct, 1):.1f} rows each.",
            value=float(column.distinct),
            limit=float(feature.max_values),
            rows=column.rows,
            advice="Set min_count or max_values of the feature, name it a key, or group its values.",
        )
        constant = column.distinct + (column.missing > 0) <= 1
    else:
        constant = isinstance(column, NumberProfile) and column.min == column.max and not column.missing
    if present:
        values = "one value only" if constant else "more than one value"
        yield check(
            "constant",
            name,
            not constant,
            f"{name} has {values} in {column.rows:,} training rows.",
            rows=column.rows,
            advice="Nothing can be learnt from it; transform drops it.",
        )
