"""The profile says what the rows say, in one pass, whatever they are cut into."""

import math
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.data import points, summary_file
from lockgate.data import vocabulary as words
from lockgate.data.profile import CategoryProfile, DateProfile, NumberProfile, Profile
from lockgate.data.statistics import PROBABILITIES, column_profile, profile
from lockgate.data.summary import Accumulator, summarise
from lockgate.project import Feature
from lockgate.records import Split
from tests.data.runs import collected_frame, profiled, rows


def number(series: pl.Series, pieces: int = 1) -> NumberProfile:
    total = Accumulator()
    size = -(-len(series) // pieces)
    for start in range(0, len(series), size):
        total.add(summarise(series[start : start + size], "number"))
    found = column_profile(total.result(), Feature(), series.dtype)
    assert isinstance(found, NumberProfile)
    return found


def category(series: pl.Series, pieces: int = 1) -> CategoryProfile:
    total = Accumulator()
    size = -(-len(series) // pieces)
    for start in range(0, len(series), size):
        total.add(summarise(series[start : start + size], "category"))
    found = column_profile(total.result(), Feature(), series.dtype)
    assert isinstance(found, CategoryProfile)
    return found


NUMBERS = st.lists(
    st.one_of(
        st.none(), st.floats(-1e6, 1e6, width=32), st.sampled_from([0.0, math.inf, -math.inf, math.nan])
    ),
    min_size=1,
    max_size=80,
)


@given(NUMBERS, st.integers(1, 5))
def test_numbers_agree_with_numpy(values: list[float | None], pieces: int) -> None:
    found = number(pl.Series(values, dtype=pl.Float64), pieces)
    plain = np.array([math.nan if v is None else v for v in values])
    finite = plain[np.isfinite(plain)]
    assert found.rows == len(values)
    assert found.missing == np.isnan(plain).sum()
    assert found.infinite == np.isinf(plain).sum()
    assert found.zeros == (finite == 0).sum()
    if not len(finite):
        assert found.quantiles == ()
        return
    assert found.mean == pytest.approx(finite.mean(), rel=1e-9, abs=1e-6)
    assert found.std == pytest.approx(finite.std(), rel=1e-6, abs=1e-4)
    assert (found.min, found.max) == (finite.min(), finite.max())
    assert np.array(found.quantiles) == pytest.approx(np.quantile(finite, PROBABILITIES), rel=1e-9, abs=1e-9)
    assert found.is_integer == bool((finite == np.floor(finite)).all())


@pytest.mark.parametrize("dtype", [pl.Int8, pl.UInt8, pl.Int64, pl.UInt64, pl.Float32, pl.Boolean])
def test_numbers_of_every_type(dtype: pl.DataType) -> None:
    series = pl.Series([0, 1, 1, None, 0, 1]).cast(dtype)
    found = number(series, 2)
    assert (found.rows, found.missing, found.zeros, found.max) == (6, 1, 2, 1.0)
    assert found.mean == pytest.approx(0.6)
    assert found.is_integer


@pytest.mark.parametrize("largest", [2**63 - 1, 2**40])
def test_whole_numbers_far_apart(largest: int) -> None:
    found = number(pl.Series([-largest, 0, largest]), 2)
    assert (found.min, found.quantiles[500], found.max) == (float(-largest), 0.0, float(largest))


def test_quantiles_of_many_values_keep_their_bound() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate(
        [rng.lognormal(sigma=3, size=700_000), np.full(100_000, 2.5), rng.normal(size=200_000)]
    )
    rng.shuffle(values)
    found = np.array(number(pl.Series(values), 16).quantiles)
    ordered = np.sort(values)
    low = np.searchsorted(ordered, found, side="left") / len(values)
    high = np.searchsorted(ordered, found, side="right") / len(values)
    wrong = np.maximum(np.maximum(low - PROBABILITIES, PROBABILITIES - high), 0)
    assert wrong.max() <= (2 + 2 * math.log2(16)) / (2 * points.CAPACITY) + 1e-6


@given(
    st.lists(st.one_of(st.none(), st.sampled_from(["a", "b", "", "ü"])), min_size=1, max_size=60),
    st.integers(1, 5),
)
def test_categories_agree_with_counting(values: list[str | None], pieces: int) -> None:
    found = category(pl.Series(values, dtype=pl.String), pieces)
    present = [v for v in values if v]
    expected = sorted({(v, present.count(v)) for v in present}, key=lambda item: (-item[1], item[0]))
    assert list(found.values) == expected
    assert (found.missing, found.distinct) == (len(values) - len(present), len(expected))
    mean = np.mean([len(v.encode()) for v in present]) if present else 0.0
    assert found.mean_length == pytest.approx(mean)


def test_categories_of_numbers_and_booleans() -> None:
    assert category(pl.Series([3, 3, None, -1])).values == (("3", 2), ("-1", 1))
    assert category(pl.Series([3.0, 3.5, None])).values == (("3", 1), ("3.5", 1))
    assert category(pl.Series([True, None, False, True])).values == (("true", 2), ("false", 1))


def test_more_values_than_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    rare = [f"id{i}" for i in range(400_000)]
    values = pl.Series(rng.permutation(np.array([*rare, *["often"] * 50_000, *["sometimes"] * 5_000])))
    found = category(values, 5)
    assert found.values[:2] == (("often", 50_000), ("sometimes", 5_000))
    assert 0 < found.error < 20
    assert found.distinct == pytest.approx(400_002, rel=0.05)
    assert len(found.sample) == words.SAMPLE
    counts = dict(values.value_counts().iter_rows())
    assert all(counts[value] == count for value, count in found.sample)
    assert len(found.values) == 100_000


def test_dates(tmp_path: Path) -> None:
    learnt, _ = profiled(
        tmp_path, rows().with_columns(pl.when(pl.col("count") > 0).then("when").alias("seen"))
    )
    found = learnt.splits["train"]["seen"]
    assert isinstance(found, DateProfile)
    assert found.missing > 0
    assert found.min is not None
    assert found.min >= datetime(2024, 1, 1)
    assert found.distinct == found.rows - found.missing


def test_summaries_survive_their_file(tmp_path: Path) -> None:
    frame = rows().with_columns(nothing=pl.lit(None, pl.Float64), empty=pl.lit(None, pl.String))
    kinds = {"when": "date", "size": "number", "colour": "category", "nothing": "number", "empty": "category"}
    before = {name: summarise(frame[name], kind) for name, kind in kinds.items()}  # type: ignore[arg-type]
    summary_file.save(tmp_path / "s.parquet", before)
    after = summary_file.load(tmp_path / "s.parquet")
    for name in kinds:
        dtype = frame.schema[name]
        assert column_profile(after[name], Feature(), dtype) == column_profile(before[name], Feature(), dtype)


def test_only_new_partitions_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = rows()
    early = frame.filter(pl.col("when") < datetime(2024, 12, 1))
    workspace, snapshot, wanted = collected_frame(tmp_path, early)
    profile(workspace, snapshot, wanted)
    workspace, snapshot, wanted = collected_frame(tmp_path, frame)
    read: list[Path] = []
    real = pl.read_parquet

    def watched(path: Path, **more: object) -> pl.DataFrame:
        read.append(path)
        return real(path, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(pl, "read_parquet", watched)
    second = profile(workspace, snapshot, wanted)
    assert [p.name[:7] for p in read if p.parent == workspace.data] == ["2024-12"]
    monkeypatch.undo()
    fresh_workspace, fresh_snapshot, _ = collected_frame(tmp_path / "fresh", frame)
    assert profile(fresh_workspace, fresh_snapshot, wanted) == second


@settings(max_examples=10, deadline=None)
@given(st.permutations(["when", "size", "count", "colour", "late"]))
def test_order_of_columns_does_not_matter(tmp_path_factory: pytest.TempPathFactory, order: list[str]) -> None:
    splits: tuple[Split, ...] = ("train", "tune", "test")
    one, _ = profiled(tmp_path_factory.mktemp("one"), rows(300))
    two, _ = profiled(tmp_path_factory.mktemp("two"), rows(300).select(order))
    for split in splits:
        assert one.splits[split] == two.splits[split]


def test_profile_is_a_record(tmp_path: Path) -> None:
    learnt, _ = profiled(tmp_path, rows())
    learnt.save(tmp_path / "profile.json")
    assert Profile.load(tmp_path / "profile.json") == learnt
    assert learnt.rows("train") + learnt.rows("tune") + learnt.rows("test") == 3000
    assert learnt.rows("live") == 0
