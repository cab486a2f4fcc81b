"""Slices hold every row once, keep their ranges, and are not judged when they are too small."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from lockgate.errors import ConfigError
from lockgate.evaluation.scored import Scored
from lockgate.evaluation.slices import edges_of, parts_of, score_slices, slice_parts
from lockgate.project import Slice


def _rows(rows=900, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, rows)
    place = rng.choice(["JFK", "LGA", "EWR"], rows, p=[0.5, 0.45, 0.05])
    signal = np.where(place == "LGA", 0.0, 2.0) * labels
    return pl.DataFrame({"place": place}), Scored("binary", labels, 1 / (1 + np.exp(-rng.normal(signal))))


def test_a_bad_slice_is_found_and_a_small_one_is_not_judged():
    frame, scored = _rows()
    parts, notes = slice_parts(frame, frame, [Slice(column="place", min_rows=100)])
    jfk, lga, ewr = score_slices(parts, scored, "roc_auc", 0.95, 200, 0)
    assert notes == ()
    mask = (frame["place"] == "LGA").to_numpy()
    assert lga.score == pytest.approx(roc_auc_score(scored.labels[mask], scored.predictions[mask]))
    assert lga.drop == pytest.approx(roc_auc_score(scored.labels, scored.predictions) - lga.score)
    assert lga.significant
    assert lga.low < lga.score < lga.high
    assert jfk.drop < 0
    assert not jfk.significant
    assert (ewr.value, ewr.score) == ("EWR", None)
    assert "too few to judge; at least 100" in ewr.note


def test_a_slice_of_one_class_has_no_area():
    scored = Scored("binary", np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.3, 0.4]))
    parts, _ = parts_of(pl.Series("g", ["a", "a", "b", "b"]), 1)
    for found in score_slices(parts, scored, "roc_auc", 0.95, 10, 0):
        assert found.score is None
        assert "not defined" in found.note


def test_ranges_are_fixed_on_the_training_rows():
    train = pl.DataFrame({"x": np.arange(100.0)})
    test = pl.DataFrame({"x": [-5.0, 24.75, 60.0, 1e9, None, float("inf")]})
    parts, _ = slice_parts(test, train, [Slice(column="x", bins=4, min_rows=1)])
    assert [(p.value, p.rows.nonzero()[0].tolist()) for p in parts] == [
        ("missing", [4, 5]),
        ("below 24.75", [0]),
        ("24.75 to 49.5", [1]),
        ("49.5 to 74.25", [2]),
        ("74.25 and more", [3]),
    ]


def test_a_lower_loss_on_a_slice_is_no_drop():
    rng = np.random.default_rng(0)
    noise = np.r_[rng.normal(size=200), 3 * rng.normal(size=200)]
    scored = Scored("regression", np.zeros(400), noise)
    parts, _ = parts_of(pl.Series("g", ["calm"] * 200 + ["wild"] * 200), 10)
    calm, wild = score_slices(parts, scored, "rmse", 0.95, 300, 0)
    assert calm.drop < 0 < wild.drop
    assert wild.significant
    assert not calm.significant


def test_of_very_many_values_the_largest_are_shown():
    values = pl.Series("city", [f"c{i % 50}" for i in range(500)] + ["big"] * 20)
    parts, note = parts_of(values, 1)
    assert parts[0].value == "big"
    assert len(parts) == 30
    assert note == "city has 51 values; the 30 with most rows are shown."


def test_unknown_columns_and_texts_with_ranges_are_refused():
    frame, _ = _rows()
    with pytest.raises(ConfigError, match="names 'plaice'"):
        slice_parts(frame, frame, [Slice(column="plaice")])
    with pytest.raises(ConfigError, match="cannot be cut into 3 ranges"):
        slice_parts(frame, frame, [Slice(column="place", bins=3)])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(-100, 100)), min_size=1, max_size=50), st.integers(2, 6))
def test_every_row_is_in_exactly_one_part(values, bins):
    series = pl.Series("x", values, dtype=pl.Float64)
    for edges in (None, edges_of(series, bins)):
        parts, _ = parts_of(series, 1, edges)
        if edges is not None or series.n_unique() <= 30:
            assert (sum(p.rows.astype(int) for p in parts) == 1).all()
