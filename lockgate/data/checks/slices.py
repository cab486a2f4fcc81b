"""Slices that the user named, with too few training rows to learn from or to judge: sampling bias."""

from collections.abc import Iterator, Mapping

from lockgate.data.checks.rules import check
from lockgate.data.profile import CategoryProfile, NumberProfile, Profile
from lockgate.project import Project
from lockgate.records import Check

SHOWN = 5


def slice_checks(
    profile: Profile, project: Project, counts: Mapping[str, Mapping[str, int]]
) -> Iterator[Check]:
    """Each column of evaluate.slices: one check, which names the smallest slices.

    Args:
        profile: of the snapshot.
        project: names the slices.
        counts: the training rows of each value, for columns of numbers that are not cut into ranges.
    """
    for wanted in project.evaluate.slices:
        column = profile.splits["train"][wanted.column]
        if isinstance(column, CategoryProfile):
            few = [(value, count) for value, count in column.values if count < wanted.min_rows][::-1]
            total = column.distinct
            hidden = max(column.distinct - len(column.values), 0)
        elif wanted.column in counts:
            values = sorted(counts[wanted.column].items(), key=lambda item: (item[1], item[0]))
            few, total, hidden = [(v, c) for v, c in values if c < wanted.min_rows], len(values), 0
        elif isinstance(column, NumberProfile) and wanted.bins:
            rows = (column.rows - column.missing) // wanted.bins
            few, total = ([("each range", rows)] if rows < wanted.min_rows else []), wanted.bins
            hidden = 0
        else:
            continue
        some = ", ".join(f"{value!r} {count:,}" for value, count in few[:SHOWN])
        yield check(
            "slices",
            wanted.column,
            not few and not hidden,
            f"{wanted.column}: {len(few) + hidden:,} of {total:,} slices have fewer than {wanted.min_rows:,} "
            f"training rows{': ' + some + (', …' if len(few) > SHOWN else '') if some else ''}.",
            value=float(len(few) + hidden),
            limit=0.0,
            rows=column.rows,
            advice="Gather more rows of them, or group them; their metrics will have wide intervals.",
        )
