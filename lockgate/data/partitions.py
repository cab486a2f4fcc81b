"""Writing rows into immutable Parquet partitions, one a split and stretch of time, named by their content."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import polars as pl

from lockgate.data.digest import ContentDigest
from lockgate.data.snapshot import columns_of
from lockgate.data.split import SPLIT_COLUMN
from lockgate.records import Column, Partition, Split
from lockgate.storage import explained, write_atomically

GROUP_ROWS = 16_384
PARTITION_ROWS = 61 * GROUP_ROWS
COMPRESSION: Literal["lz4"] = "lz4"
MEMORY = 256 << 20
STRETCH_COLUMN = "\0stretch"
STRETCHES = {"day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}


class Place(NamedTuple):
    """Where rows belong: a split, and the name of a stretch of time ("rows" without a time column)."""

    split: Split
    stretch: str


class PartitionWriter:
    """Takes rows in any order of places and writes each place's rows in the order in which they came.

    At most 256 MB wait in memory; what is more goes to `scratch` meanwhile. Nothing appears in `folder`
    before `finish`, and then each file whole or not at all.

    Args:
        folder: where the partitions live.
        scratch: an empty folder on the same disk.
        time: the column that tells the stretch, if there is one.
        stretch: how long a stretch is.
    """

    def __init__(
        self, folder: Path, scratch: Path, time: str | None, stretch: Literal["day", "month", "year"]
    ) -> None:
        self._folder, self._scratch, self._time, self._stretch = folder, scratch, time, stretch
        self._waiting: dict[Place, list[pl.DataFrame]] = {}
        self._parts: dict[Place, list[Path]] = {}
        self._memory = 0
        self.columns: tuple[Column, ...] = ()
        self.written = 0

    def add(self, frame: pl.DataFrame, splits: pl.Series) -> None:
        """Takes up rows with the split of each; those whose split is null go nowhere.

        Raises:
            StorageError: the disk is full, or the folder cannot be written.
        """
        self.columns = self.columns or columns_of(frame)
        stretch = (
            pl.col(self._time).dt.to_string(STRETCHES[self._stretch]).fill_null("no-time")
            if self._time
            else pl.lit("rows")
        )
        marked = frame.with_columns(splits.alias(SPLIT_COLUMN), stretch.alias(STRETCH_COLUMN))
        marked = marked.filter(pl.col(SPLIT_COLUMN).is_not_null())
        groups = marked.partition_by(SPLIT_COLUMN, STRETCH_COLUMN, as_dict=True, include_key=False)
        for (split, name), rows in groups.items():
            self._waiting.setdefault(Place(split, name), []).append(rows)
            self._memory += int(rows.estimated_size())
        if self._memory > MEMORY:
            self._spill()

    def finish(self) -> Iterator[Partition]:
        """Writes the partitions that are not there yet; yields all of them, by split and then by time.

        Raises:
            StorageError: the disk is full, or the folder cannot be written.
        """
        order = get_args(Split)
        places = sorted({*self._waiting, *self._parts}, key=lambda p: (order.index(p.split), p.stretch))
        for place in places:
            for number, rows in enumerate(_cut(self._rows_at(place))):
                yield self._write(place, number, rows)

    def _spill(self) -> None:
        for place, frames in self._waiting.items():
            parts = self._parts.setdefault(place, [])
            path = self._scratch / f"{place.split}-{place.stretch}-{len(parts):06}.arrow"
            buffer = io.BytesIO()
            pl.concat(frames).write_ipc(buffer, compression="lz4")
            with explained(path):
                path.write_bytes(buffer.getbuffer())
            parts.append(path)
        self._waiting.clear()
        self._memory = 0

    def _rows_at(self, place: Place) -> Iterator[pl.DataFrame]:
        for part in self._parts.get(place, []):
            yield pl.read_ipc(part)
            part.unlink()
        yield from self._waiting.pop(place, [])

    def _write(self, place: Place, number: int, rows: pl.DataFrame) -> Partition:
        digest = ContentDigest(self.columns)
        digest.update(rows)
        content = digest.hexdigest()
        path = self._folder / f"{place.stretch}-{number:03}-{content[:16]}.parquet"
        if not path.exists():
            buffer = io.BytesIO()
            # LZ4 is read twice as fast as Zstandard and takes a tenth more space.
            rows.write_parquet(buffer, row_group_size=GROUP_ROWS, compression=COMPRESSION)
            write_atomically(path, buffer.getvalue())
            self.written += 1
        times = rows.get_column(self._time).cast(pl.Datetime("us")) if self._time else None
        return Partition(
            path=path.relative_to(self._folder.parent).as_posix(),
            split=place.split,
            rows=rows.height,
            content=content,
            time_min=times.min() if times is not None else None,
            time_max=times.max() if times is not None else None,
        )


def _cut(frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The same rows in frames of 999,424, the last one shorter."""
    held: list[pl.DataFrame] = []
    rows = 0
    for frame in frames:
        held.append(frame)
        rows += frame.height
        while rows >= PARTITION_ROWS:
            whole = pl.concat(held)
            yield whole[:PARTITION_ROWS].rechunk()
            held, rows = [whole[PARTITION_ROWS:]], rows - PARTITION_ROWS
    if rows:
        yield pl.concat(held).rechunk()


def fresh_scratch(folder: Path) -> Path:
    """Makes the scratch folder of one collect, and clears what an interrupted one left behind.

    Raises:
        StorageError: the folder cannot be written.
    """
    scratch = folder / ".incoming"
    with explained(folder):
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        for left in folder.glob(".*.part"):
            left.unlink()
    return scratch
