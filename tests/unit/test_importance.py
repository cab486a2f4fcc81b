"""Permutation importance finds the columns that matter, on a model fitted to real data."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression

from lockgate.evaluation.importance import importance

HOW = {"task": "regression", "metric": "rmse", "threshold": 0.5, "seed": 1}


def _model():
    data, labels = load_diabetes(return_X_y=True, as_frame=True)
    kept = data[["bmi", "bp", "s5", "age"]]
    model = LinearRegression().fit(kept.to_numpy(), labels)
    model.coef_[3] = 0.0
    tensors = {name: kept[name].to_numpy() for name in kept}
    return model, tensors, labels.to_numpy()


def test_it_agrees_with_scikit_learns():
    model, tensors, labels = _model()
    data = np.stack(list(tensors.values()), axis=1)
    theirs = permutation_importance(
        model, data, labels, scoring="neg_root_mean_squared_error", n_repeats=20, random_state=0
    )
    found = importance(
        lambda fed: model.predict(np.stack([fed[n] for n in tensors], axis=1)),
        tensors,
        labels,
        rows=10_000,
        repeats=20,
        **HOW,
    )
    expected = dict(zip(tensors, theirs.importances_mean, strict=True))
    assert {i.column for i in found[:2]} == {"bmi", "s5"}
    for entry in found:
        assert entry.mean == pytest.approx(expected[entry.column], rel=0.15, abs=1e-9)
        assert (entry.rows, entry.repeats) == (442, 20)
    assert found[-1].column == "age"
    assert found[-1].mean == pytest.approx(0)


def test_rows_are_limited_and_the_seed_decides():
    model, tensors, labels = _model()
    sizes = set()

    def predict(fed):
        sizes.add(len(fed["bmi"]))
        return model.predict(np.stack([fed[n] for n in tensors], axis=1))

    first = importance(predict, tensors, labels, rows=100, repeats=3, **HOW)
    assert sizes == {100}
    assert importance(predict, tensors, labels, rows=100, repeats=3, **HOW) == first
    assert importance(predict, tensors, labels, rows=100, repeats=3, **{**HOW, "seed": 2}) != first
