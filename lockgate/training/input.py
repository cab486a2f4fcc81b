"""Batches from the materialised features: Parquet to Arrow to NumPy to whole batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from lockgate.errors import DataError
from lockgate.features.spec import TransformSpec
from lockgate.training.chunks import Chunk, Plan, plan, shuffled, windows

FloatBlock = npt.NDArray[np.float32]
Places = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Rows:
    """Rows as the network takes them: numbers float32 [n, d], categories int32 [n, c], label [n]."""

    numbers: FloatBlock
    categories: Places
    label: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.label)

    def take(self, order: npt.NDArray[np.int64]) -> "Rows":
        """The rows at these places."""
        return Rows(
            self.numbers.take(order, axis=0), self.categories.take(order, axis=0), self.label.take(order)
        )

    def slice(self, start: int, end: int) -> "Rows":
        """The rows [start, end), without copying."""
        return Rows(self.numbers[start:end], self.categories[start:end], self.label[start:end])

    @staticmethod
    def joined(parts: Sequence["Rows"]) -> "Rows":
        """The rows of all parts, one after the other."""
        if len(parts) == 1:
            return parts[0]
        names = ("numbers", "categories", "label")
        return Rows(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


class Source(Protocol):
    """Rows by row group, wherever they are."""

    @property
    def groups(self) -> list[list[int]]:
        """Rows of every row group, by file."""
        ...

    def __len__(self) -> int: ...

    def read(self, chunks: Sequence[Chunk]) -> Rows:
        """The rows of these chunks, in the order given."""
        ...


class Memory:
    """Rows in memory as one row group, such as a fold of a small data set."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    @property
    def groups(self) -> list[list[int]]:
        """One file with one row group."""
        return [[len(self.rows)]]

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, chunks: Sequence[Chunk]) -> Rows:
        """The rows of these chunks, in the order given."""
        return Rows.joined([self.rows.slice(c.start, c.start + c.rows) for c in chunks])


class Features:
    """The materialised rows of one split.

    Args:
        folder: holds the Parquet files of the split.
        spec: says which columns are numbers and which categories.
    """

    def __init__(self, folder: Path, spec: TransformSpec) -> None:
        self.files = sorted(folder.glob("*.parquet"))
        self.numbers, self.categories = len(spec.numbers), len(spec.categories)
        self.label_type = np.int32 if spec.label.task == "multiclass" else np.float32

    @cached_property
    def groups(self) -> list[list[int]]:
        """Rows of every row group, by file."""
        footers = [pq.read_metadata(file) for file in self.files]
        return [[f.row_group(g).num_rows for g in range(f.num_row_groups)] for f in footers]

    def __len__(self) -> int:
        return sum(map(sum, self.groups))

    def read(self, chunks: Sequence[Chunk]) -> Rows:
        """The rows of these chunks, in the order given; each row group is read once."""
        rows = sum(c.rows for c in chunks)
        numbers = np.empty((rows, self.numbers), dtype=np.float32)
        categories = np.empty((rows, self.categories), dtype=np.int32)
        label = np.empty(rows, dtype=self.label_type)
        at = 0
        opened: tuple[int, pq.ParquetFile] | None = None
        kept: tuple[tuple[int, int], pa.Table] | None = None
        for chunk in chunks:
            if opened is None or opened[0] != chunk.file:
                opened = (chunk.file, self._open(chunk.file))
            if kept is None or kept[0] != (chunk.file, chunk.group):
                kept = ((chunk.file, chunk.group), opened[1].read_row_group(chunk.group, use_threads=False))
            part = kept[1].slice(chunk.start, chunk.rows)
            columns = [part.column(i).chunk(0).to_numpy() for i in range(part.num_columns)]
            place = slice(at, at + chunk.rows)
            if self.numbers:
                np.stack(columns[: self.numbers], axis=1, out=numbers[place])
            if self.categories:
                np.stack(columns[self.numbers : -1], axis=1, out=categories[place])
            label[place] = columns[-1]
            at += chunk.rows
        return Rows(numbers, categories, label)

    def _open(self, file: int) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(self.files[file], memory_map=True)
        except (OSError, pa.ArrowInvalid) as error:
            raise DataError(
                f"{self.files[file]} cannot be read: {error}.",
                "It was written by the transform.",
                "Run the transform again: `lockgate run --from transform`.",
            ) from None

    def all(self) -> Rows:
        """Every row of the split, in its order."""
        files = enumerate(self.groups)
        return self.read([Chunk(f, g, 0, rows) for f, groups in files for g, rows in enumerate(groups)])


class Batches:
    """The training batches of one worker.

    The global batch of a step is the sub-batches of all logical shards, one after the other, whoever
    reads them: worker w of n reads a stretch of shards, so that n workers see what one process sees.

    Args:
        features: the training rows.
        shards: logical shards, a multiple of `workers`.
        batch: rows of a step over all shards.
        seed: of every order.
        worker: which worker this is.
        workers: how many there are.
    """

    def __init__(
        self, features: Source, *, shards: int, batch: int, seed: int, worker: int = 0, workers: int = 1
    ) -> None:
        self.features, self.seed = features, seed
        self.plan: Plan = plan(features.groups, shards, batch, seed)
        each = shards // workers
        self.shards = range(worker * each, (worker + 1) * each)
        self._kept: dict[int, Rows] = {}

    @property
    def steps(self) -> int:
        """Steps of one epoch, the same for every worker."""
        return self.plan.steps

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Rows]:
        """The batches of an epoch from step `start` on; the windows before it are not read.

        Each has `plan.rows_per_step` rows of every shard of this worker.
        """
        streams = [self._shard(shard, epoch, start) for shard in self.shards]
        for _ in range(start, self.steps):
            yield Rows.joined([next(stream) for stream in streams])

    def _shard(self, shard: int, epoch: int, start: int) -> Iterator[Rows]:
        chunks, size = self.plan.shards[shard], self.plan.rows_per_step
        to_skip = start * size
        rest: Rows | None = None
        for number, window in enumerate(windows(chunks, self.seed, epoch, shard)):
            count = sum(chunks[place].rows for place in window)
            if to_skip >= count:
                to_skip -= count
                continue
            order = shuffled(count, self.seed, epoch, shard, number)[to_skip:]
            to_skip = 0
            rows = self._window(shard, window)
            at = 0
            if rest is not None:
                at = min(size - len(rest), len(order))
                rest = Rows.joined([rest, rows.take(order[:at])])
                if len(rest) < size:
                    continue
                yield rest
                rest = None
            while at + size <= len(order):
                yield rows.take(order[at : at + size])
                at += size
            rest = rows.take(order[at:]) if at < len(order) else None

    def _window(self, shard: int, window: Sequence[int]) -> Rows:
        """Reads a window; a shard that is one window is kept in memory for the next epoch."""
        chunks = self.plan.shards[shard]
        if shard in self._kept:
            return self._kept[shard]
        rows = self.features.read(
            sorted((chunks[p] for p in window), key=lambda c: (c.file, c.group, c.start))
        )
        if len(window) == len(chunks):
            self._kept[shard] = rows
        return rows
