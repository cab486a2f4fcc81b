"""The worst mistakes are the worst, are mistakes, and can be read."""

from datetime import date, datetime

import numpy as np
import polars as pl
import pytest

from lockgate.evaluation.mistakes import mistakes, text, worst
from lockgate.evaluation.scored import Scored


def test_both_kinds_of_binary_mistakes_are_shown():
    labels = np.array([0, 0, 0, 1, 1, 1, 1])
    scores = np.array([0.95, 0.9, 0.1, 0.3, 0.2, 0.9, 0.45])
    scored = Scored("binary", labels, scores)
    assert worst(scored, 4).tolist() == [0, 1, 4, 3]
    assert worst(scored, 3).tolist() == [0, 4, 3]
    # Where one kind runs out, the other fills up.
    assert sorted(worst(scored, 5).tolist()) == [0, 1, 3, 4, 6]
    assert sorted(worst(scored.at(0.92), 4).tolist()) == [0, 3, 4, 6]
    assert len(worst(scored, 100)) == 5
    assert len(worst(scored, 0)) == 0


def test_mistakes_as_a_person_reads_them():
    frame = pl.DataFrame(
        {"flight": [12, 13], "dest": ["LAX", None], "wind": [3.25, float("nan")], "y": [0, 1]}
    )
    scored = Scored("binary", np.array([0, 1]), np.array([0.2, 0.01]))
    (found,) = mistakes(frame, scored, ["flight"], ["dest", "wind"], ["in time", "late"], 5)
    assert found.keys == (("flight", "13"),)
    assert found.features == (("dest", ""), ("wind", ""))
    assert (found.label, found.called, found.prediction) == ("late", "in time", 0.01)
    assert found.loss == pytest.approx(-np.log(0.01))


def test_multiclass_and_regression():
    frame = pl.DataFrame({"x": [1.5, 2.5, 3.5]})
    p = np.array([[0.7, 0.2, 0.1], [0.8, 0.15, 0.05], [0.1, 0.1, 0.8]])
    found = mistakes(frame, Scored("multiclass", np.array([1, 2, 2]), p), [], ["x"], ["a", "b", "c"], 5)
    assert [(m.label, m.called, m.prediction) for m in found] == [("c", "a", 0.05), ("b", "a", 0.2)]
    numbers = Scored("regression", np.array([1.0, 2.0, 3.0]), np.array([1.1, 5.0, 2.5]))
    found = mistakes(frame, numbers, [], ["x"], [], 2)
    assert [(m.label, m.called, m.loss) for m in found] == [("2", "5", 3.0), ("3", "2.5", 0.5)]


def test_values_as_text():
    values = [True, 3, 1234.5678, "é", date(2013, 1, 2), datetime(2013, 1, 2, 3, 4, 5), None]
    assert [text(v) for v in values] == ["true", "3", "1234.57", "é", "2013-01-02", "2013-01-02 03:04", ""]
