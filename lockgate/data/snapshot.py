"""Reading the rows of a snapshot, always in the same order, and checking them against its digests."""

from pathlib import Path
from typing import get_args

import polars as pl

from lockgate.data.columns import DTYPES
from lockgate.data.digest import ContentDigest
from lockgate.errors import DataError
from lockgate.records import Column, Partition, Snapshot, Split, digest_of
from lockgate.workspace import Workspace

SNAPSHOT_FILE = "snapshot.json"


def load(folder: Path) -> Snapshot:
    """The snapshot that `collect` wrote into its artifact folder."""
    return Snapshot.load(folder / SNAPSHOT_FILE)


def schema_of(snapshot: Snapshot) -> dict[str, pl.DataType]:
    """The snapshot's columns by name, with their polars types, in their order."""
    return {column.name: DTYPES[column.dtype] for column in snapshot.columns}


def columns_of(frame: pl.DataFrame) -> tuple[Column, ...]:
    """The columns of a frame as a snapshot records them."""
    return tuple(Column(name=name, dtype=str(dtype)) for name, dtype in frame.schema.items())


def paths_of(workspace: Workspace, snapshot: Snapshot, split: Split) -> list[Path]:
    """The Parquet files of a split, in the order of its rows; out of a bucket, they are fetched.

    Raises:
        DataError: a partition is gone from the workspace.
    """
    names = [p.path for p in snapshot.partitions if p.split == split]
    workspace.fetch_all(names)
    for name in names:
        if not (workspace.root / name).exists():
            raise DataError(
                f"The partition {workspace.address}/{name} of snapshot {snapshot.content[:12]} is gone.",
                "A snapshot needs every one of its partitions.",
                "Collect again: `lockgate run --from collect`.",
            )
    return [workspace.root / name for name in names]


def bring(workspace: Workspace, snapshot: Snapshot) -> None:
    """Has the partitions of every split at hand, for what goes through all of them.

    Raises:
        DataError: a partition is gone from the workspace.
    """
    for split in get_args(Split):
        paths_of(workspace, snapshot, split)


def scan(workspace: Workspace, snapshot: Snapshot, split: Split) -> pl.LazyFrame:
    """The rows of a split with their raw columns: partitions in snapshot order, rows in file order.

    A split without rows gives no rows, with the right columns.

    Raises:
        DataError: a partition is gone from the workspace.
    """
    paths = paths_of(workspace, snapshot, split)
    if not paths:
        return pl.LazyFrame(schema=schema_of(snapshot))
    return pl.scan_parquet(paths, glob=False, cache=False)


def read(
    workspace: Workspace, snapshot: Snapshot, split: Split, columns: list[str] | None = None
) -> pl.DataFrame:
    """The rows of a split in memory, in the order of `scan`; all columns, or those named.

    Raises:
        DataError: a partition is gone from the workspace.
    """
    rows = scan(workspace, snapshot, split)
    return (rows if columns is None else rows.select(columns)).collect()


def read_partition(
    workspace: Workspace, partition: Partition, columns: list[str] | None = None
) -> pl.DataFrame:
    """The rows of one partition; all columns, or those named."""
    return pl.read_parquet(workspace.fetch(partition.path), columns=columns, glob=False)


def content_of(columns: tuple[Column, ...], partitions: tuple[Partition, ...]) -> str:
    """The content digest of a snapshot: its schema, and the splits, rows and contents of its partitions."""
    return digest_of(
        {
            "columns": [[c.name, c.dtype] for c in columns],
            "partitions": [[p.split, p.rows, p.content] for p in partitions],
        }
    )


def verify(workspace: Workspace, snapshot: Snapshot) -> None:
    """Reads every partition and compares its rows with their digest.

    Raises:
        DataError: a partition is gone or holds other rows than when it was collected.
    """
    bring(workspace, snapshot)
    for partition in snapshot.partitions:
        digest = ContentDigest(snapshot.columns)
        digest.update(read_partition(workspace, partition))
        if (found := digest.hexdigest()) != partition.content:
            raise DataError(
                f"{workspace.root / partition.path} holds rows with digest {found[:12]}, "
                f"not {partition.content[:12]}: it was changed after it was collected.",
                "Partitions are immutable.",
                "Delete that file and collect again: `lockgate run --from collect`.",
            )
