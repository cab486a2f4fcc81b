"""Rows that occur twice: within the train split, and in train as well as in tune or test."""

from collections.abc import Callable, Iterator
from math import log, sqrt
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lockgate.data.checks.rules import check
from lockgate.data.rowhash import Hashes, column_sums, finished
from lockgate.project import Project
from lockgate.records import Check, Partition, Snapshot, Split

LARGEST_SAMPLE = 4_000_000


class SplitHashes(NamedTuple):
    """Of the rows of a split: the hashes of whole rows, and of rows without time and keys; both sorted.

    Where the snapshot has more than 4 million rows, only rows whose hash lies below a bound are held, the
    same rows in every split, so that shares can be estimated from them.
    """

    whole: Hashes
    content: Hashes


def row_checks(
    snapshot: Snapshot, read: Callable[[Partition], pl.DataFrame], project: Project
) -> Iterator[Check]:
    """Duplicates in train, and overlap of tune and test with train."""
    hashes = {split: split_hashes(snapshot, split, read, project) for split in ("train", "tune", "test")}
    yield _duplicates(hashes["train"], snapshot.rows_of("train"), project)
    for split in ("tune", "test"):
        yield _overlap(split, hashes["train"], hashes[split], snapshot, project)


def split_hashes(
    snapshot: Snapshot, split: Split, read: Callable[[Partition], pl.DataFrame], project: Project
) -> SplitHashes:
    """The hashes of a split's rows, partition by partition."""
    bound = np.uint64(min(2**64 - 1, int(2**64 * min(1.0, LARGEST_SAMPLE / max(snapshot.rows, 1)))))
    aside = {project.data.time, *project.data.keys}
    whole, content = [np.empty(0, np.uint64)], [np.empty(0, np.uint64)]
    for partition in snapshot.partitions:
        if partition.split == split:
            frame = read(partition)
            body = column_sums(frame, [name for name in frame.columns if name not in aside])
            rest = column_sums(frame, [name for name in frame.columns if name in aside])
            for kept, found in ((whole, finished(body + rest)), (content, finished(body))):
                kept.append(found[found <= bound])
    return SplitHashes(np.sort(np.concatenate(whole)), np.sort(np.concatenate(content)))


def repeated_share(hashes: Hashes) -> float:
    """The share of rows that have a twin, from sorted hashes."""
    return float((_counts(hashes) > 1).mean()) if len(hashes) else 0.0


def _counts(hashes: Hashes) -> NDArray[np.int64]:
    """How often each row's hash occurs."""
    _, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    return np.asarray(counts[inverse])


def _duplicates(train: SplitHashes, rows: int, project: Project) -> Check:
    limit = project.validation.limits.duplicates
    extra = 1 - len(np.unique(train.whole)) / max(len(train.whole), 1)
    about = "" if len(train.whole) == rows else f", estimated from {len(train.whole):,}"
    return check(
        "duplicates",
        "train",
        extra <= limit,
        f"{extra:.2%} of the {rows:,} training rows repeat an earlier row in every column{about}; "
        f"the limit is {limit:.2%}.",
        value=extra,
        limit=limit,
        rows=rows,
        advice="Check whether the source joins or loads rows twice; drop them there.",
    )


def _overlap(
    split: Split, train: SplitHashes, later: SplitHashes, snapshot: Snapshot, project: Project
) -> Check:
    """Rows that are equal but for time and keys; as many as train itself repeats are chance.

    The allowance for chance is train's own share of repeated rows plus Hoeffding's bound for the split's
    size; none where train repeats nothing.
    """
    limits = project.validation.limits
    found = np.searchsorted(train.content, later.content)
    inside = np.minimum(found, max(len(train.content) - 1, 0))
    common = int((train.content[inside] == later.content).sum()) if len(train.content) else 0
    share = common / max(len(later.content), 1)
    natural = repeated_share(train.content)
    alpha = max(1 - limits.confidence, 1e-12)
    chance = natural + sqrt(log(1 / alpha) / (2 * max(len(later.content), 1))) if natural else 0.0
    rows = snapshot.rows_of(split)
    return check(
        "overlap",
        split,
        share <= limits.overlap + chance,
        f"{share:.2%} of the {rows:,} rows of {split} occur in train as well, time and keys aside; "
        f"the limit is {limits.overlap + chance:.2%} ({limits.overlap:.2%} plus {chance:.2%}, "
        f"as {natural:.2%} of train's own rows occur twice).",
        value=share,
        limit=limits.overlap + chance,
        baseline=natural,
        rows=rows,
        advice="Drop repeated rows in the source, or keep them together by split.group.",
    )
