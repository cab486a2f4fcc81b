from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.errors import DataError
from lockgate.training.chunks import plan, windows
from lockgate.training.input import Batches, Features, Memory, Rows
from tests.unit.training_data import tiny_rows, write_features


def rows_of(batches: list[Rows]) -> np.ndarray:
    return np.concatenate([b.numbers[:, 0] for b in batches])


@pytest.fixture
def features(tmp_path: Path) -> Features:
    spec = write_features(tmp_path, {"train": 1000})
    return Features(tmp_path / "train", spec)


def test_all_rows_come_back_in_their_order(features: Features) -> None:
    expected, found = tiny_rows(1000, 0), features.all()
    for name in ("numbers", "categories", "label"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_an_epoch_shows_every_row_at_most_once_and_epochs_differ(features: Features) -> None:
    batches = Batches(features, shards=1, batch=100, seed=3)
    first, second = (rows_of(list(batches.epoch(e))) for e in (0, 1))
    expected = tiny_rows(1000, 0).numbers[:, 0]
    np.testing.assert_array_equal(np.sort(first), np.sort(expected))
    np.testing.assert_array_equal(np.sort(first), np.sort(second))
    assert (first != second).mean() > 0.9
    assert (first != expected).mean() > 0.9
    again = Batches(features, shards=1, batch=100, seed=3)
    np.testing.assert_array_equal(rows_of(list(again.epoch(1))), second)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_global_batches_do_not_depend_on_the_number_of_workers(features: Features, workers: int) -> None:
    alone = Batches(features, shards=4, batch=64, seed=3)
    each = [Batches(features, shards=4, batch=64, seed=3, worker=w, workers=workers) for w in range(workers)]
    assert {b.steps for b in each} == {alone.steps}
    expected = list(alone.epoch(2))
    found = [list(b.epoch(2)) for b in each]
    for step, batch in enumerate(expected):
        np.testing.assert_array_equal(Rows.joined([f[step] for f in found]).numbers, batch.numbers)
        assert len(batch) == 64


@pytest.mark.parametrize("start", [0, 1, 7, 15])
def test_an_epoch_can_be_taken_up_at_any_step(features: Features, start: int) -> None:
    whole = list(Batches(features, shards=2, batch=64, seed=5).epoch(1))
    part = list(Batches(features, shards=2, batch=64, seed=5).epoch(1, start))
    assert len(whole) == 15
    assert len(part) == 15 - start
    for a, b in zip(whole[start:], part, strict=True):
        np.testing.assert_array_equal(a.numbers, b.numbers)
        np.testing.assert_array_equal(a.label, b.label)


def test_windows_are_read_one_after_the_other_and_skipped_when_resuming(
    features: Features, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lockgate.training.chunks.WINDOW_ROWS", 200)
    batches = Batches(features, shards=1, batch=70, seed=1)
    whole = list(batches.epoch(0))
    np.testing.assert_array_equal(np.unique(rows_of(whole)).size, 14 * 70)
    read: list[int] = []
    inner = features.read

    def counting(chunks: list) -> Rows:
        read.append(sum(c.rows for c in chunks))
        return inner(chunks)

    monkeypatch.setattr(features, "read", counting)
    part = list(Batches(features, shards=1, batch=70, seed=1).epoch(0, 10))
    np.testing.assert_array_equal(rows_of(part), rows_of(whole[10:]))
    assert sum(read) < 500
    assert max(read) <= 200


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.lists(st.integers(1, 500), max_size=6), min_size=1, max_size=4),
    shards=st.integers(1, 8),
    batch=st.integers(8, 400),
    seed=st.integers(0, 5),
)
def test_every_row_belongs_to_one_shard_and_shards_are_even(
    sizes: list[list[int]], shards: int, batch: int, seed: int
) -> None:
    total = sum(map(sum, sizes))
    if total < shards:
        with pytest.raises(ValueError, match="cannot be dealt"):
            plan(sizes, shards, batch, seed)
        return
    found = plan(sizes, shards, batch, seed)
    rows = sorted(
        (c.file, c.group, row)
        for shard in found.shards
        for c in shard
        for row in range(c.start, c.start + c.rows)
    )
    assert rows == [(f, g, r) for f, gs in enumerate(sizes) for g, n in enumerate(gs) for r in range(n)]
    held = [sum(c.rows for c in shard) for shard in found.shards]
    biggest = max(c.rows for shard in found.shards for c in shard)
    assert max(held) - min(held) <= biggest
    assert found.steps >= 1
    assert found.steps * found.rows_per_step <= min(held)
    assert found.global_batch <= batch or batch < shards
    order = windows(found.shards[0], seed, 0, 0)
    assert sorted(place for window in order for place in window) == list(range(len(found.shards[0])))


def test_a_broken_file_is_explained(features: Features) -> None:
    groups = features.groups
    assert groups
    file = features.files[0]
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(DataError, match="Run the transform again"):
        features.all()


def test_rows_in_memory_are_a_source_like_files() -> None:
    rows = tiny_rows(100, 1)
    found = list(Batches(Memory(rows), shards=1, batch=20, seed=0).epoch(0))
    np.testing.assert_array_equal(np.sort(rows_of(found)), np.sort(rows.numbers[:, 0]))
