"""Packed rows hold what decoding column by column gives, and are refused in the same words."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.features.raw import raw_columns
from lockgate.shipping.decode import RequestError, decode_column, decode_rows
from lockgate.shipping.malformed import malformed
from lockgate.shipping.packing import Packing, joined

COLUMNS = raw_columns({"a": "number", "b": "category", "c": "date", "d": "number", "e": "category"})
PACKING = Packing(COLUMNS)

anything = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    | st.sampled_from([1e39, 2**200, "2013-10-01T05:15:00Z", "2013-10-01", "\ud800", 1380604500, [], {}])
)  # fmt: skip
number = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(-3e38, 3e38)
category = (
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False)
)
date = st.none() | st.datetimes().map(lambda d: d.isoformat()) | st.integers(-62135596800, 253402300799)
good = st.fixed_dictionaries({"a": number, "b": category, "c": date, "d": number, "e": category})
odd = st.dictionaries(st.sampled_from(["a", "b", "c", "d", "e", "f"]), anything) | anything


def outcome(function, *arguments):
    try:
        return function(*arguments), ""
    except RequestError as error:
        return None, str(error)


def assert_packed(packed, tensors):
    assert packed.rows == len(next(iter(tensors.values())))
    wanted = PACKING.of_tensors(tensors)
    for array, other in zip(packed.arrays, wanted.arrays, strict=True):
        assert array.dtype == other.dtype
        np.testing.assert_array_equal(array, other)


@settings(max_examples=300, deadline=None)
@given(st.lists(good, min_size=1, max_size=4))
def test_good_rows_are_packed_as_they_are_decoded(rows):
    assert_packed(PACKING.of_rows(rows), decode_rows(rows, COLUMNS))
    values = {c.name: [row[c.name] for row in rows] for c in COLUMNS}
    assert_packed(PACKING.of_columns(values), {c.tensor: decode_column(c, values[c.name]) for c in COLUMNS})


@settings(max_examples=500, deadline=None)
@given(st.lists(good | odd, min_size=1, max_size=3))
def test_any_rows_are_taken_or_refused_as_by_decoding(rows):
    packed, words = outcome(PACKING.of_rows, rows)
    tensors, wanted = outcome(decode_rows, rows, COLUMNS)
    assert words == wanted
    if tensors is not None:
        assert_packed(packed, tensors)


def test_every_known_fault_is_refused_by_name():
    row = {"a": 1.5, "b": "x", "c": 0, "d": None, "e": 3}
    faults = [f for f in malformed(row, COLUMNS) if f.protocol == "v1" and f.names]
    assert len(faults) > 15
    for fault in faults:
        with pytest.raises(RequestError, match=fault.names):
            PACKING.of_rows(json.loads(fault.body)["instances"])


def test_parts_are_joined_in_order():
    rows = [{"a": i, "b": str(i), "c": i, "d": -i, "e": None} for i in range(9)]
    whole = joined([PACKING.of_rows(rows[:2]), PACKING.of_rows(rows[2:3]), PACKING.of_rows(rows[3:])])
    assert_packed(whole, decode_rows(rows, COLUMNS))


def test_a_model_of_one_column_is_packed():
    single = Packing(raw_columns({"x": "category"}))
    assert single.of_rows([{"x": "a"}, {"x": None}]).arrays[0].tolist() == [["a"], [""]]
