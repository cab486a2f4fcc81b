"""Metrics agree with scikit-learn's, stay in their bounds, and do not mind how classes are named."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import StandardScaler

from lockgate.errors import ConfigError
from lockgate.evaluation.metrics import METRICS, gain, higher_is_better, measure, measure_all, require_metric
from lockgate.evaluation.scored import Scored, confusion


def _probabilities(load):
    data, labels = load(return_X_y=True)
    scaled = StandardScaler().fit_transform(data)[:, :3]
    return labels, LogisticRegression().fit(scaled[::2], labels[::2]).predict_proba(scaled)


def test_binary_metrics_are_those_of_scikit_learn():
    labels, p = _probabilities(load_breast_cancer)
    found = measure_all(Scored("binary", labels, p[:, 1], threshold=0.3))
    called = p[:, 1] >= 0.3
    expected = {
        "roc_auc": reference.roc_auc_score(labels, p[:, 1]),
        "pr_auc": reference.average_precision_score(labels, p[:, 1]),
        "log_loss": reference.log_loss(labels, p[:, 1]),
        "brier": reference.brier_score_loss(labels, p[:, 1]),
        "accuracy": reference.accuracy_score(labels, called),
        "precision": reference.precision_score(labels, called),
        "recall": reference.recall_score(labels, called),
        "f1": reference.f1_score(labels, called),
    }
    assert {k: v for k, v in found.items() if k != "ece"} == pytest.approx(expected, rel=1e-9)


def test_multiclass_metrics_are_those_of_scikit_learn():
    labels, p = _probabilities(load_wine)
    found = measure_all(Scored("multiclass", labels, p))
    called = p.argmax(axis=1)
    assert found == pytest.approx(
        {
            "log_loss": reference.log_loss(labels, p),
            "accuracy": reference.accuracy_score(labels, called),
            "balanced_accuracy": reference.balanced_accuracy_score(labels, called),
            "macro_f1": reference.f1_score(labels, called, average="macro"),
            "roc_auc": reference.roc_auc_score(labels, p, multi_class="ovr"),
        },
        rel=1e-9,
    )
    assert (confusion(Scored("multiclass", labels, p)) == reference.confusion_matrix(labels, called)).all()


def test_regression_metrics_are_those_of_scikit_learn():
    data, labels = load_diabetes(return_X_y=True)
    predicted = LinearRegression().fit(data[::2], labels[::2]).predict(data)
    assert measure_all(Scored("regression", labels, predicted)) == pytest.approx(
        {
            "rmse": reference.root_mean_squared_error(labels, predicted),
            "mae": reference.mean_absolute_error(labels, predicted),
            "r2": reference.r2_score(labels, predicted),
            "median_ae": reference.median_absolute_error(labels, predicted),
            "mape": reference.mean_absolute_percentage_error(labels, predicted),
        },
        rel=1e-9,
    )


def test_r2_keeps_its_digits_when_labels_are_far_from_zero():
    labels = 1e9 + np.arange(50.0)
    predicted = labels + np.tile([0.5, -0.5], 25)
    assert measure("r2", Scored("regression", labels, predicted)) == pytest.approx(
        reference.r2_score(labels - 1e9, predicted - 1e9)
    )


def test_calibration_error_by_hand():
    # Two bins of 15: at 0.1 (bin 1) one of four is positive, at 0.9 (bin 13) all four are.
    p = np.array([0.1] * 4 + [0.9] * 4)
    labels = np.array([1, 0, 0, 0, 1, 1, 1, 1])
    assert measure("ece", Scored("binary", labels, p)) == pytest.approx(0.5 * 0.15 + 0.5 * 0.1)


@pytest.mark.parametrize(
    ("name", "scored"),
    [
        ("roc_auc", Scored("binary", np.ones(3, int), np.array([0.1, 0.5, 0.9]))),
        ("pr_auc", Scored("binary", np.zeros(3, int), np.array([0.1, 0.5, 0.9]))),
        ("precision", Scored("binary", np.array([0, 1]), np.array([0.1, 0.2]))),
        ("recall", Scored("binary", np.zeros(2, int), np.array([0.1, 0.9]))),
        ("mape", Scored("regression", np.array([0.0, 1.0]), np.array([1.0, 1.0]))),
        ("r2", Scored("regression", np.ones(2), np.array([1.0, 2.0]))),
        ("rmse", Scored("regression", np.zeros(0), np.zeros(0))),
    ],
)
def test_a_metric_that_is_not_defined_is_nan(name, scored):
    assert np.isnan(measure(name, scored))


def test_the_direction_of_a_gain():
    assert gain("roc_auc", 0.8, 0.7) == pytest.approx(0.1)
    assert gain("rmse", 0.8, 0.7) == pytest.approx(-0.1)
    assert not higher_is_better("log_loss")


def test_an_unknown_metric_is_refused_with_those_that_exist():
    with pytest.raises(ConfigError, match=r"roc_auc.*regression task does not have.*rmse, mae"):
        require_metric("roc_auc", "regression")


_rows = st.lists(st.tuples(st.booleans(), st.floats(0, 1, width=32)), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(_rows, st.floats(0, 1))
def test_binary_metrics_stay_in_their_bounds(rows, threshold):
    labels = np.array([label for label, _ in rows], dtype=np.int64)
    p = np.array([score for _, score in rows])
    for name, value in measure_all(Scored("binary", labels, p, threshold)).items():
        assert np.isnan(value) or 0 <= value <= (17 if name == "log_loss" else 1 + 1e-12), name


@settings(max_examples=40, deadline=None)
@given(_rows)
def test_swapping_the_classes_leaves_symmetric_metrics_alone(rows):
    labels = np.array([label for label, _ in rows], dtype=np.int64)
    p = np.round(np.array([score for _, score in rows]), 3)
    there, back = Scored("binary", labels, p), Scored("binary", 1 - labels, 1 - p)
    for name in ("roc_auc", "log_loss", "brier"):
        assert measure(name, there) == pytest.approx(measure(name, back), nan_ok=True, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(4)), st.integers(0, 1000))
def test_renaming_classes_leaves_multiclass_metrics_alone(order, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, 50)
    p = rng.dirichlet(np.ones(4), 50)
    renamed = Scored("multiclass", np.array(order)[labels], p[:, np.argsort(order)])
    for name in METRICS["multiclass"]:
        assert measure(name, renamed) == pytest.approx(measure(name, Scored("multiclass", labels, p)))
