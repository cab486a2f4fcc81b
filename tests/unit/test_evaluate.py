"""The evaluation as a whole, with real data and scikit-learn's models in the models' places."""

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lockgate.errors import ConfigError, TrainingError
from lockgate.evaluation.evaluate import Material, Predictions, evaluate
from lockgate.evaluation.model_gate import judge
from lockgate.evaluation.record import Champion, EvaluationRecord
from lockgate.project import Project

LOADERS = {"binary": load_breast_cancer, "multiclass": load_wine, "regression": load_diabetes}
COSTS = {"false_positive": 1, "false_negative": 5, "unit": "minutes"}


def _project(task, **settings):
    return Project(
        name="example",
        task=task,
        data={"source": "x.csv", "label": "y", "keys": ["id"]},
        evaluate={"bootstrap": 200, "mistakes": 4, "importance_rows": 500, **settings},
    )


def _material(task, **changes):
    loaded = LOADERS[task](as_frame=True)
    inputs = [c.replace(" ", "_") for c in loaded.data.columns[:6]]
    values = loaded.data.to_numpy()[:, :6]
    labels = loaded.target.to_numpy()
    order = np.random.default_rng(0).permutation(len(labels))
    train, tune, test = np.split(order, [len(order) // 3, len(order) // 2])

    def fitted(width):
        core = LinearRegression() if task == "regression" else LogisticRegression()
        model = make_pipeline(StandardScaler(), core).fit(values[train][:, :width], labels[train])
        return lambda rows: _predict(model, rows[:, :width], task)

    def predictions(name, role, model):
        return Predictions(name, role, model(values[tune]), model(values[test]))

    frame = pl.DataFrame(values, schema=inputs).with_columns(
        y=pl.Series(labels),
        id=pl.int_range(len(labels)),
        group=pl.Series(values[:, 1] > np.median(values[:, 1])),
    )
    network, weak = fitted(6), fitted(1)
    standard = {
        "snapshot": "0" * 64,
        "classes": () if task == "regression" else tuple(map(str, loaded.target_names)),
        "inputs": tuple(inputs),
        "train": frame[train],
        "test": frame[test],
        "tune_labels": labels[tune],
        "test_labels": labels[test],
        "unlabelled": 0,
        "network": predictions("network", "network", network),
        "others": (predictions("linear", "baseline", weak),),
        "champion": Champion(state="none", message="There is no champion yet."),
        "predict": lambda fed: network(np.stack([fed[n] for n in inputs], axis=1)),
        "tensors": {n: values[test][:, i] for i, n in enumerate(inputs)},
    }
    return Material(**{**standard, **changes})


def _predict(model, rows, task):
    if task == "regression":
        return model.predict(rows)
    p = model.predict_proba(rows)
    return p[:, 1] if task == "binary" else p


def _quiet(_):
    return None


@pytest.mark.parametrize("task", LOADERS)
def test_every_task_is_evaluated_whole(task, tmp_path):
    project = _project(
        task,
        slices=[{"column": "group", "min_rows": 20}],
        fairness=["group"],
        costs=COSTS if task == "binary" else None,
    )
    material = _material(task)
    record = evaluate(project, material, _quiet)
    assert record.rows == material.test.height
    assert [m.name for m in record.models] == ["network", "linear"]
    assert record.comparisons[0].gain > 0
    assert len(record.slices) == 2
    assert len(record.mistakes) == 4 or task == "multiclass"
    assert record.mistakes[0].keys[0][0] == "id"
    assert {i.column for i in record.importance} == set(material.inputs)
    assert record.importance[0].mean > 0
    assert record.fairness[0].gaps
    assert judge(record, project).is_open
    if task == "regression":
        assert record.residuals is not None
        assert record.confusion is None
    else:
        assert sum(map(sum, record.confusion.counts)) == record.rows
        assert {c.kind for c in record.curves} == {"roc", "precision_recall"}
        assert max(len(c.x) for c in record.curves) <= 200
        assert sum(b.rows for b in record.calibration) == record.rows
        assert sum(sum(h.counts) for h in record.histograms) == record.rows
    if task == "multiclass":
        assert sum(c.rows for c in record.per_class) == record.rows
        assert sum(c.predicted for c in record.per_class) == record.rows
    record.save(tmp_path / "evaluation.json")
    assert EvaluationRecord.load(tmp_path / "evaluation.json") == record


def test_the_same_twice_is_the_same_record():
    project = _project("binary", costs=COSTS)
    first, second = (evaluate(project, _material("binary"), _quiet) for _ in range(2))
    assert first == second


def test_a_network_that_is_the_baseline_must_not_ship():
    material = _material("binary")
    weak = material.others[0]
    same = Predictions("network", "network", weak.tune, weak.test)
    project = _project("binary")
    verdict = judge(evaluate(project, _material("binary", network=same, predict=None), _quiet), project)
    assert [c.rule for c in verdict.errors] == ["baseline"]


def test_the_champion_is_compared_on_the_same_rows():
    material = _material("binary")
    champion = Champion(state="compared", message="Compared.", model="abc")

    def found(model):
        other = Predictions("champion", "champion", model.tune, model.test)
        return evaluate(
            _project("binary"),
            _material("binary", others=(*material.others, other), champion=champion),
            _quiet,
        )

    other = found(material.others[0])
    assert other.champion.state == "compared"
    assert other.difference is not None
    assert (other.difference.other, other.difference.rows) == ("abc", other.rows)
    assert 0 < other.difference.size < other.difference.size_high
    equal = found(material.network)
    assert equal.champion.state == "same"
    assert equal.difference is not None
    assert equal.difference.labels == equal.difference.size == equal.difference.distance == 0
    assert evaluate(_project("binary"), material, _quiet).difference is None
    assert judge(equal, _project("binary")).is_open


def test_every_model_decides_at_its_own_threshold():
    material = _material("binary")
    record = evaluate(_project("binary", costs=COSTS), material, _quiet)
    assert record.threshold.chosen_on == "tune"
    assert record.threshold.value != 0.5
    accuracy = record.network.metric("accuracy").value
    called = material.network.test >= record.threshold.value
    assert accuracy == pytest.approx((called == material.test_labels).mean())


def test_rows_without_a_finite_prediction_are_counted_and_close_the_gate():
    material = _material("binary")
    test = material.network.test.copy()
    test[:3] = np.nan
    broken = Predictions("network", "network", material.network.tune, test)
    project = _project("binary")
    record = evaluate(project, _material("binary", network=broken), _quiet)
    assert (record.non_finite, record.rows) == (3, material.test.height - 3)
    assert "finite" in [c.rule for c in judge(record, project).errors]
    none = Predictions("network", "network", material.network.tune, np.full_like(test, np.nan))
    with pytest.raises(TrainingError, match="rows has a finite prediction"):
        evaluate(project, _material("binary", network=none), _quiet)


def test_a_metric_of_another_task_is_refused():
    with pytest.raises(ConfigError, match="'rmse'"):
        evaluate(_project("binary", metric="rmse"), _material("binary"), _quiet)


def test_test_rows_of_one_class_do_not_pass_for_good():
    material = _material("binary")
    project = _project("binary")
    record = evaluate(
        project, _material("binary", test_labels=np.ones_like(material.test_labels), predict=None), _quiet
    )
    assert np.isnan(record.network.metric("roc_auc").value)
    assert not judge(record, project).is_open
