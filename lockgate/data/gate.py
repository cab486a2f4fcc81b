"""The data gate: every check over a snapshot, and the verdict."""

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from lockgate.data.checks.categories import category_checks
from lockgate.data.checks.columns import column_checks
from lockgate.data.checks.label import label_checks
from lockgate.data.checks.leakage import leakage_checks
from lockgate.data.checks.rows import row_checks
from lockgate.data.checks.rules import JUDGED, with_severity
from lockgate.data.checks.schema import schema_checks
from lockgate.data.checks.shift import drift_checks, skew_checks
from lockgate.data.checks.slices import slice_checks
from lockgate.data.columns import category_expression
from lockgate.data.profile import NumberProfile, Profile
from lockgate.data.snapshot import read_partition, scan
from lockgate.project import Project
from lockgate.records import Check, Snapshot, Split, Verdict
from lockgate.workspace import Workspace

ORDER = {"error": 0, "warning": 1, "info": 2}


def judge(
    workspace: Workspace,
    snapshot: Snapshot,
    profile: Profile,
    previous: Profile | None,
    anomalies: Mapping[Split, Any],
    project: Project,
    reviewed: bool,
) -> Verdict:
    """The verdict on a snapshot: failed checks first, by severity, in the order of the rules otherwise.

    Args:
        workspace: where the rows are, for the checks that go through them.
        snapshot: what is judged.
        profile: its statistics.
        previous: those of the last snapshot that passed, if there is one.
        anomalies: what TFDV found in each split.
        project: limits, severities and what the columns mean.
        reviewed: whether the schema is one that a person has reviewed.
    """
    checks = [
        *checks_on_profile(profile, previous, project),
        *checks_on_rows(workspace, snapshot, profile, project),
        *schema_checks(anomalies, reviewed, len(snapshot.columns)),
    ]
    judged = list(with_severity(checks, project.validation.severity))
    judged.sort(key=lambda c: (c.passed, ORDER[c.severity]))
    return Verdict(gate="data", checks=tuple(judged))


def checks_on_profile(profile: Profile, previous: Profile | None, project: Project) -> Iterator[Check]:
    """The checks that need the statistics alone; every judged split must be there."""
    missing = [split for split in JUDGED if split not in profile.splits]
    assert not missing, f"the profile has no split {missing}"
    yield from label_checks(profile, project)
    yield from column_checks(profile, project)
    yield from category_checks(profile, project)
    yield from skew_checks(profile, project)
    yield from drift_checks(profile, previous, project)


def checks_on_rows(
    workspace: Workspace, snapshot: Snapshot, profile: Profile, project: Project
) -> Iterator[Check]:
    """The checks that go through the rows once more: leakage, duplicates, overlap, slices of numbers."""
    train = scan(workspace, snapshot, "train")
    yield from leakage_checks(train, snapshot.rows_of("train"), project)
    yield from row_checks(snapshot, lambda partition: read_partition(workspace, partition), project)
    yield from slice_checks(profile, project, _slice_counts(train, profile, project))


def _slice_counts(train: pl.LazyFrame, profile: Profile, project: Project) -> dict[str, dict[str, int]]:
    """The rows of each value, for slices by a column of numbers that is not cut into ranges."""
    counts = {}
    for wanted in project.evaluate.slices:
        name = wanted.column
        if not wanted.bins and isinstance(profile.splits["train"][name], NumberProfile):
            values = category_expression(name, train.collect_schema()[name])
            counted = train.select(values).drop_nulls().group_by(name).len().collect()
            counts[name] = dict(counted.iter_rows())
    return counts
