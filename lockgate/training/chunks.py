"""Which rows each logical shard holds, and in which order an epoch goes through them: pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

CHUNK_ROWS = 16_384
CHUNKS_PER_SHARD = 16
WINDOW_ROWS = 1 << 20


@dataclass(frozen=True)
class Chunk:
    """A stretch of rows [start, start + rows) of row group `group` of file `file`."""

    file: int
    group: int
    start: int
    rows: int


@dataclass(frozen=True)
class Plan:
    """How a split is cut: the chunks of every logical shard, rows a sub-batch, steps an epoch."""

    shards: tuple[tuple[Chunk, ...], ...]
    rows_per_step: int
    steps: int

    @property
    def global_batch(self) -> int:
        """Rows of one step over all shards."""
        return self.rows_per_step * len(self.shards)


def plan(groups: Sequence[Sequence[int]], shards: int, batch: int, seed: int) -> Plan:
    """Deals the rows to logical shards of nearly equal size.

    Row groups are the chunks, or pieces of them where there is little data; they are dealt in an order
    that depends on the seed alone, the next chunk always to the shard with the fewest rows. Every shard
    has the same number of steps; a shard's last rows that do not fill a step are left out of that epoch.

    Args:
        groups: rows of every row group, by file.
        shards: how many logical shards.
        batch: rows of one step over all shards; less where there are fewer rows.
        seed: of the order.

    Raises:
        ValueError: there are fewer rows than shards.
    """
    total = sum(map(sum, groups))
    if total < shards:
        raise ValueError(f"{total} rows cannot be dealt to {shards} shards")
    size = max(1, min(CHUNK_ROWS, total // (shards * CHUNKS_PER_SHARD)))
    if shards == 1:
        size = CHUNK_ROWS  # nothing to balance
    chunks = [
        Chunk(file, group, start, min(size, rows - start))
        for file, sizes in enumerate(groups)
        for group, rows in enumerate(sizes)
        for start in range(0, rows, size)
    ]
    order = np.random.default_rng([seed, 0]).permutation(len(chunks))
    dealt: list[list[Chunk]] = [[] for _ in range(shards)]
    held = [0] * shards
    for place in order:
        poorest = held.index(min(held))
        dealt[poorest].append(chunks[place])
        held[poorest] += chunks[place].rows
    rows = max(1, min(batch // shards, *held))
    return Plan(tuple(map(tuple, dealt)), rows, min(held) // rows)


def windows(chunks: Sequence[Chunk], seed: int, epoch: int, shard: int) -> list[list[int]]:
    """The chunks of a shard in the order of an epoch, in windows of about a million rows.

    The rows of a window are shuffled together, so a shard that fits one window is shuffled whole.
    Within a window the chunks are in their own order.
    """
    order = np.random.default_rng([seed, 1, epoch, shard]).permutation(len(chunks))
    found: list[list[int]] = [[]]
    rows = 0
    for place in order:
        if rows + chunks[place].rows > WINDOW_ROWS and found[-1]:
            found.append([])
            rows = 0
        found[-1].append(int(place))
        rows += chunks[place].rows
    return [sorted(window) for window in found]


def shuffled(rows: int, seed: int, epoch: int, shard: int, window: int) -> npt.NDArray[np.int64]:
    """The order of the rows of one window in one epoch."""
    return np.random.default_rng([seed, 2, epoch, shard, window]).permutation(rows)
