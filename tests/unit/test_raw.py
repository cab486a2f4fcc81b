from datetime import date, datetime

import numpy as np
import polars as pl
import pytest

from lockgate.errors import DataError
from lockgate.features.raw import MISSING_DATE, RawColumn, encode, raw_columns


def column(name: str, kind: str) -> RawColumn:
    return RawColumn(name=name, kind=kind, tensor=name)


def test_a_number_is_float32_and_what_is_not_finite_is_missing() -> None:
    frame = pl.DataFrame({"x": [1.5, None, float("inf"), float("-inf"), float("nan"), 1e300]})
    values = encode(frame, [column("x", "number")])["x"]
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, [1.5] + [np.nan] * 5)


@pytest.mark.parametrize(
    ("series", "texts"),
    [
        (pl.Series("x", ["é", "", None]), ["é", "", ""]),
        (pl.Series("x", [1, -20, None]), ["1", "-20", ""]),
        (pl.Series("x", [True, False, None]), ["true", "false", ""]),
        (pl.Series("x", [1.0, 2.5, float("nan")]), ["1", "2.5", ""]),
    ],
)
def test_a_category_is_text_and_missing_is_empty(series: pl.Series, texts: list[str]) -> None:
    assert encode(series.to_frame(), [column("x", "category")])["x"].tolist() == texts


def test_a_date_is_seconds_since_1970_utc_rounded_down() -> None:
    days = pl.DataFrame({"x": [date(1970, 1, 2), None]})
    assert encode(days, [column("x", "date")])["x"].tolist() == [86_400, MISSING_DATE]
    times = pl.DataFrame({"x": [datetime(1969, 12, 31, 23, 59, 59, 900_000)]})
    assert encode(times, [column("x", "date")])["x"].tolist() == [-1]
    zoned = times.with_columns(
        pl.lit(datetime(2013, 1, 1, 6)).dt.replace_time_zone("America/New_York").alias("x")
    )
    assert encode(zoned, [column("x", "date")])["x"][0] == datetime(2013, 1, 1, 11).timestamp() + _offset()


def _offset() -> float:
    naive = datetime(2013, 1, 1, 11)
    return (naive - datetime(1970, 1, 1)).total_seconds() - naive.timestamp()


def test_text_in_a_number_column_is_refused_with_the_column() -> None:
    with pytest.raises(DataError, match="'x' holds String"):
        encode(pl.DataFrame({"x": ["a"]}), [column("x", "number")])


def test_an_absent_column_is_named() -> None:
    with pytest.raises(DataError, match="no column 'y'"):
        encode(pl.DataFrame({"x": [1]}), [column("x", "number"), column("y", "number")])


def test_names_that_tensorflow_refuses_get_another_tensor_name() -> None:
    kinds = dict.fromkeys(["plain", "température", "a b", "a.b", "Plain", "numbers", "1st", "_x"], "number")
    columns = raw_columns(kinds)
    assert [c.name for c in columns] == list(kinds)
    tensors = [c.tensor for c in columns]
    assert tensors[0] == "plain"
    assert len({t.lower() for t in tensors}) == len(tensors)
    assert all(t.isascii() and t.isidentifier() and t[0].isalpha() for t in tensors)
    assert "numbers" not in tensors
