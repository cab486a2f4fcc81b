"""collect: the raw data becomes a snapshot, split and partitioned, that never changes again."""

import hashlib
import shutil
from datetime import datetime
from pathlib import Path

import polars as pl

from lockgate.data import snapshot as snapshots
from lockgate.data.columns import check_columns
from lockgate.data.partitions import PartitionWriter, fresh_scratch
from lockgate.data.read import is_function, read_source
from lockgate.data.split import assigned, check_time, empty_splits, no_rows
from lockgate.errors import DataError
from lockgate.records import Snapshot
from lockgate.steps.step import Outcome, Run, step
from lockgate.storage import explained


@step
def collect(run: Run, *, snapshot: Path) -> Outcome:
    """Reads the source, splits its rows and freezes them.

    Args:
        run: the project's `data` and `split`, and the workspace that the partitions are written to.
        snapshot: a folder to make, with snapshot.json (a `Snapshot`).

    Raises:
        DataError: the source is missing or damaged, lacks a column, or leaves a split without rows.
        StorageError: the disk is full, or the workspace cannot be written.
    """
    scratch = fresh_scratch(run.workspace.data)
    try:
        record, outside = _collected(run, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    with explained(snapshot):
        snapshot.mkdir(parents=True, exist_ok=True)
    record.save(snapshot / snapshots.SNAPSHOT_FILE)
    left = f"; {outside:,} rows outside every split left out" if outside else ""
    parts = f"{len(record.partitions)} partitions, snapshot {record.content[:12]}"
    return Outcome(message=f"{parts}{left}", rows=record.rows)


def _collected(run: Run, scratch: Path) -> tuple[Snapshot, int]:
    project = run.project
    time = project.data.time
    writer = PartitionWriter(run.workspace.data, scratch, time, project.data.partition)
    total, kept, told = 0, 0, 0
    seen: list[datetime] = []
    for frame in read_source(project.data, run.settings.code, scratch / "source"):
        if not total:
            check_columns(project, frame.schema)
        if time:
            check_time(frame, time)
            times = frame.get_column(time).cast(pl.Datetime("us")).drop_nulls()
            seen = _range([*seen, *([times.min(), times.max()] if len(times) else [])])  # type: ignore[list-item]
        splits = assigned(frame, project)
        writer.add(frame, splits)
        total += frame.height
        kept += frame.height - splits.null_count()
        if total - told >= 1_000_000:
            told = total
            run.tell(f"read {total:,} rows", rows=total)
    if not total:
        raise DataError(f"{project.data.source} has no rows.", "A snapshot needs rows.", "Check the source.")
    partitions = tuple(writer.finish())
    rows = {name: sum(p.rows for p in partitions if p.split == name) for name in ("train", "tune", "test")}
    for split in empty_splits(rows):
        raise no_rows(project, split, total, (seen[0], seen[1]) if seen else (None, None))
    starts = [p.time_min for p in partitions if p.time_min]
    ends = [p.time_max for p in partitions if p.time_max]
    record = Snapshot(
        content=snapshots.content_of(writer.columns, partitions),
        rows=kept,
        columns=writer.columns,
        partitions=partitions,
        source=project.data.source,
        code_version=_code_version(run),
        time_min=min(starts, default=None),
        time_max=max(ends, default=None),
    )
    run.tell(
        f"{writer.written} new partitions written, {len(partitions) - writer.written} were there already",
        kept,
    )
    # Before the snapshot that names them: it never names a partition that is not in the bucket.
    run.workspace.publish(*(p.path for p in partitions))
    return record, total - kept


def _range(moments: list[datetime]) -> list[datetime]:
    return [min(moments), max(moments)] if moments else []


def _code_version(run: Run) -> str:
    """Lockgate's version, and the digest of the user's file where the source is a function in it."""
    version = f"lockgate {run.settings.version}"
    if not is_function(run.project.data.source):
        return version
    text = "".join(run.settings.code[name] for name in sorted(run.settings.code))
    return f"{version}, code {hashlib.sha256(text.encode()).hexdigest()[:12]}"
