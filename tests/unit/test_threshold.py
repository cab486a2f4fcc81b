"""The threshold is the cheapest one, and its sentence says so in the user's words."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from lockgate.evaluation.scored import Scored
from lockgate.evaluation.threshold import ALWAYS, NEVER, choose, cost_per_thousand, decide
from lockgate.project import Costs

MINUTES = Costs(false_positive=1, false_negative=5, unit="minutes")


def _model():
    data, labels = load_breast_cancer(return_X_y=True)
    scaled = StandardScaler().fit_transform(data)[:, :2]
    p = LogisticRegression().fit(scaled[::3], labels[::3]).predict_proba(scaled)[:, 1]
    return Scored("binary", labels[1::3], p[1::3]), Scored("binary", labels[2::3], p[2::3])


def test_the_cheapest_threshold_by_hand():
    # From 0.4 on: one false positive (1); from 0.6 on: one false negative (5).
    rows = Scored("binary", np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.6, 0.8]))
    assert choose(rows, MINUTES) == pytest.approx(0.25)
    assert choose(rows, Costs(false_positive=5, false_negative=1)) == pytest.approx(0.7)


def test_it_is_chosen_on_tune_and_told_on_test():
    tune, test = _model()
    found = decide(tune, test, MINUTES, "benign")
    assert found.chosen_on == "tune"
    assert found.value == choose(tune, MINUTES)
    costs = {way.name: way.cost for way in found.operating}
    assert costs["chosen"] == pytest.approx(cost_per_thousand(test.at(found.value), MINUTES))
    assert costs["always"] == pytest.approx(1000 * (test.labels == 0).mean())
    assert costs["never"] == pytest.approx(5000 * (test.labels == 1).mean())
    assert costs["chosen"] < costs["0.5"] < costs["never"]
    assert found.sentence.startswith(
        "At a false negative costing 5 minutes and a false positive 1 minute, the cheapest threshold is 0."
    )
    assert "minutes per 1,000 test rows instead of" in found.sentence
    for way in found.operating:
        assert way.true_positives + way.false_negatives == (test.labels == 1).sum()


def test_the_cost_curve_is_what_each_threshold_costs():
    tune, test = _model()
    points = decide(tune, test, MINUTES, "benign").points
    assert len(points) == 200
    for point in points[::17]:
        assert point.cost == pytest.approx(cost_per_thousand(test.at(point.threshold), MINUTES))


def test_without_costs_it_is_one_half_and_says_so():
    tune, test = _model()
    found = decide(tune, test, None, "benign")
    assert (found.value, found.chosen_on, found.points) == (0.5, "default", ())
    assert "No costs are given" in found.sentence
    assert found.operating[0].cost is None


@pytest.mark.parametrize("tune", [None, Scored("binary", np.zeros(0, int), np.zeros(0))])
def test_without_tune_rows_it_is_one_half_and_says_so(tune):
    found = decide(tune, _model()[1], MINUTES, "benign")
    assert (found.value, found.chosen_on) == (0.5, "default")
    assert "no tune rows have labels" in found.sentence


def test_a_score_that_says_nothing_is_not_used():
    rows = Scored("binary", np.array([0, 1, 0, 1]), np.full(4, 0.3))
    assert choose(rows, MINUTES) == ALWAYS
    assert choose(rows, Costs(false_positive=5, false_negative=1)) == NEVER
    assert not rows.at(NEVER).called.any()
    assert "cheapest to call every row 'late'" in decide(rows, rows, MINUTES, "late").sentence


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.floats(0, 1, width=32)), min_size=1, max_size=40),
    st.floats(0.01, 100),
    st.floats(0.01, 100),
)
def test_no_other_threshold_is_cheaper_on_the_same_rows(rows, false_positive, false_negative):
    costs = Costs(false_positive=false_positive, false_negative=false_negative)
    scored = Scored("binary", np.array([int(y) for y, _ in rows]), np.array([p for _, p in rows]))
    best = cost_per_thousand(scored.at(choose(scored, costs)), costs)
    for other in (0.5, ALWAYS, NEVER, *scored.predictions):
        assert best <= cost_per_thousand(scored.at(other), costs) * (1 + 1e-9)
