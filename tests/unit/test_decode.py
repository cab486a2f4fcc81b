"""Decoding a request gives the tensors that training would have made of the same rows."""

import json
import math
from datetime import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.features.raw import MISSING_DATE, encode, raw_columns
from lockgate.shipping.decode import RequestError, decode_column, decode_rows
from lockgate.shipping.malformed import malformed
from lockgate.shipping.mutate import mutated
from lockgate.shipping.rows import category_texts, json_values, v1_instances, v2_inputs

SCHEMA = {
    "whole": pl.Int64, "real": pl.Float64, "flag": pl.Boolean, "text": pl.String, "code": pl.Int16,
    "grade": pl.Float64, "day": pl.Date, "time": pl.Datetime("us"),
}  # fmt: skip
COLUMNS = raw_columns({
    "whole": "number", "real": "number", "flag": "category", "text": "category", "code": "category",
    "grade": "category", "day": "date", "time": "date",
})  # fmt: skip
maybe = st.none()
ROWS = st.lists(
    st.fixed_dictionaries({
        "whole": maybe | st.integers(-(2**63), 2**63 - 1),
        "real": maybe | st.floats(width=64),
        "flag": maybe | st.booleans(),
        "text": maybe | st.text(),
        "code": maybe | st.integers(-(2**15), 2**15 - 1),
        "grade": maybe | st.floats() | st.integers(-9, 9).map(float),
        "day": maybe | st.dates(),
        "time": maybe | st.datetimes(),
    }),
    min_size=1, max_size=8,
)  # fmt: skip


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, values in first.items():
        assert values.dtype == second[name].dtype
        np.testing.assert_array_equal(values, second[name])


@settings(max_examples=200, deadline=None)
@given(ROWS)
def test_rows_over_v1_become_training_tensors(rows):
    frame = pl.DataFrame(rows, schema=SCHEMA)
    assert_same(decode_rows(v1_instances(json_values(frame, COLUMNS)), COLUMNS), encode(frame, COLUMNS))


@settings(max_examples=200, deadline=None)
@given(ROWS)
def test_columns_over_v2_become_training_tensors(rows):
    frame = pl.DataFrame(rows, schema=SCHEMA)
    inputs = v2_inputs(frame, COLUMNS)
    decoded = {c.tensor: decode_column(c, data["data"]) for c, data in zip(COLUMNS, inputs, strict=True)}
    assert_same(decoded, encode(frame, COLUMNS))


def test_mutated_rows_hold_strange_values_and_still_decode_as_in_training():
    frame = pl.DataFrame(
        {"whole": [1], "real": [2.0], "flag": [True], "text": ["a"], "code": [3], "grade": [1.5],
         "day": [datetime(2013, 1, 1)], "time": [datetime(2013, 1, 1, 5)]},
        schema=SCHEMA, strict=False,
    )  # fmt: skip
    strange = mutated(frame, COLUMNS, 500, seed=1)
    assert strange.schema == frame.schema
    assert strange.equals(mutated(frame, COLUMNS, 500, seed=1), null_equal=True)
    assert not strange.equals(mutated(frame, COLUMNS, 500, seed=2), null_equal=True)
    assert {"", "Zürich ✈ 東京", None} < set(strange["text"])
    assert strange["whole"].max() == 2**63 - 1
    assert strange["real"].is_infinite().any()
    assert strange["time"].min() == datetime(1, 1, 1)
    assert all(0.15 < n / 500 < 0.3 for n in [(strange["text"] != "a").sum() + strange["text"].null_count()])
    decoded = decode_rows(v1_instances(json_values(strange, COLUMNS)), COLUMNS)
    assert_same(decoded, encode(strange, COLUMNS))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("real", "1", "is a string"), ("real", math.nan, "is not a number"), ("real", math.inf, "infinite"),
        ("whole", 10**400, "too large"), ("text", math.nan, "not a finite number"),
        ("text", "\ud800", "lone surrogate"), ("day", True, "is a boolean"), ("day", "2013-13-01", "no date"),
        ("day", 1380604500000, "milliseconds?"), ("day", math.nan, "no date"),
    ],
)  # fmt: skip
def test_what_training_could_not_have_seen_is_refused(name, value, words):
    column = next(c for c in COLUMNS if c.name == name)
    with pytest.raises(RequestError, match="of row 1") as refused:
        decode_column(column, [None, value])
    assert words in refused.value.given
    assert f"'{name}'" in refused.value.given
    assert "null when it is unknown" in refused.value.allowed


def test_dates_in_every_form_are_the_same_second():
    day = next(c for c in COLUMNS if c.name == "day")
    forms = [
        "2013-10-01T05:15:00Z", "2013-10-01T01:15:00-04:00", "2013-10-01 05:15:00", 1380604500,
        1380604500.9, None,
    ]  # fmt: skip
    assert decode_column(day, forms).tolist() == [1380604500] * 5 + [MISSING_DATE]


def test_every_malformed_row_is_refused_where_it_is_made():
    """The requests that the gate sends are wrong for the reason that they say."""
    row = {"whole": 1, "real": 1.5, "flag": True, "text": "a", "code": 2, "grade": 1.0, "day": 5, "time": 5}
    requests = list(malformed(row, COLUMNS))
    assert len(requests) > 100
    assert {r.names for r in requests} >= {c.name for c in COLUMNS}
    assert category_texts(pl.Series([1.0, None, 0.5])) == ["1", "", "0.5"]
    refused = 0
    for request in requests:
        if request.protocol == "v1" and request.names:
            with pytest.raises(RequestError) as error:
                decode_rows(json.loads(request.body)["instances"], COLUMNS)
            assert request.names in str(error.value), request.fault
            refused += 1
    assert refused == 40
