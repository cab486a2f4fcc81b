"""Splits do not move rows: a hash decides, the same in every run, on every machine, for every version."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from lockgate.data.digest import ContentDigest
from lockgate.data.rowhash import row_hashes, unit_interval, value_hashes
from lockgate.data.snapshot import columns_of
from lockgate.data.split import assigned, naive_utc
from tests.data.runs import project, rows

KNOWN = [16588571761820108441, 1961604895077648321, 18187646946220493]
RANDOM = {"split": {"by": "random", "tune": 0.2, "test": 0.3}}


def test_hashes_never_change() -> None:
    frame = pl.DataFrame(
        {"a": [1, None, -3], "ü": ["x", "", "日本"], "f": [0.5, -0.0, None], "b": [True, False, None]}
    )
    assert row_hashes(frame, 7).tolist() == KNOWN


def test_shares_are_as_asked_for() -> None:
    found = assigned(rows(20_000), project(**RANDOM)).value_counts(sort=True)
    shares = dict(zip(*found.get_columns(), strict=True))
    assert abs(shares["test"] / 20_000 - 0.3) < 0.015
    assert abs(shares["tune"] / 20_000 - 0.2) < 0.015


def test_rows_keep_their_split_when_others_come_and_columns_move() -> None:
    frame = rows(2000)
    before = assigned(frame[:500], project(**RANDOM))
    after = assigned(frame.select(sorted(frame.columns)), project(**RANDOM))[:500]
    assert before.to_list() == after.to_list()


def test_a_group_stays_together() -> None:
    wanted = project(split={"by": "random", "group": "count"})
    frame = rows(5000).with_columns(assigned(rows(5000), wanted).alias("split"))
    assert frame.group_by("count").agg(pl.col("split").n_unique()).get_column("split").to_list() == [1] * 50


def test_spans_are_half_open_and_know_zones() -> None:
    frame = pl.DataFrame(
        {"when": [datetime(2024, 8, 31, 23, 59), datetime(2024, 9, 1), datetime(2023, 1, 1), None]}
    )
    assert assigned(frame, project()).to_list() == ["train", "tune", None, None]
    assert naive_utc(datetime(2024, 1, 1, tzinfo=UTC)) == datetime(2024, 1, 1)


CELLS = st.one_of(st.none(), st.text(max_size=6))
TABLES = st.lists(st.tuples(CELLS, st.one_of(st.none(), st.integers(-5, 5))), max_size=40)
SCHEMA = {"text": pl.String, "n": pl.Int64}


def frame_of(table: list[tuple[str | None, int | None]]) -> pl.DataFrame:
    return pl.DataFrame(table, schema=SCHEMA, orient="row")


@given(TABLES, st.integers(0, 40), st.integers(0, 40))
def test_content_digest_does_not_depend_on_the_pieces(
    table: list[tuple[str | None, int | None]], one: int, two: int
) -> None:
    frame = frame_of(table)
    first, second = sorted((one, two))
    whole, pieces = ContentDigest(columns_of(frame)), ContentDigest(columns_of(frame))
    whole.update(frame)
    for piece in (frame[:first], frame[first:second], frame[second:]):
        pieces.update(piece)
    assert whole.hexdigest() == pieces.hexdigest()


@given(TABLES, TABLES)
def test_content_digest_tells_different_rows_apart(
    one: list[tuple[str | None, int | None]], two: list[tuple[str | None, int | None]]
) -> None:
    digests = []
    for table in (one, two):
        digest = ContentDigest(columns_of(frame_of(table)))
        digest.update(frame_of(table))
        digests.append(digest.hexdigest())
    assert (digests[0] == digests[1]) == (one == two)


@given(TABLES)
def test_row_hashes_are_equal_exactly_where_rows_are(table: list[tuple[str | None, int | None]]) -> None:
    hashes = row_hashes(frame_of(table)).tolist()
    assert len(set(hashes)) == len(set(table))
    assert all((hashes[0] == h) == (table[0] == row) for h, row in zip(hashes, table, strict=True))


@given(TABLES)
def test_row_hashes_do_not_depend_on_columns_order_or_width(
    table: list[tuple[str | None, int | None]],
) -> None:
    frame = frame_of(table)
    moved = frame.select("n", "text").cast({"n": pl.Int8})
    assert (row_hashes(frame) == row_hashes(moved)).all()


def test_hashes_spread_evenly() -> None:
    for series in (
        pl.Series([f"id{i}" for i in range(50_000)]),
        pl.Series(range(50_000)),
        pl.Series(np.linspace(0, 1, 50_000)),
    ):
        hashes = value_hashes(series)
        assert len(np.unique(hashes)) == 50_000
        counts = np.histogram(unit_interval(hashes), bins=50, range=(0, 1))[0]
        assert ((counts - 1000) ** 2 / 1000).sum() < 100  # χ² with 49 degrees of freedom: below 1e-4


def test_strings_longer_than_a_piece() -> None:
    texts = pl.Series(["x" * 200_000, "x" * 200_001, "y"] * 3)
    hashes = value_hashes(texts)
    assert len(np.unique(hashes)) == 3
    assert (hashes[:3] == value_hashes(texts[3:6])).all()
