"""A number as the label: the diabetes study that ships with scikit-learn, from CSV to a served model."""

import pytest
import yaml

from lockgate.evaluation.record import EvaluationRecord
from lockgate.records import Verdict
from lockgate.run_folder import RunFolder
from lockgate.workspace import Workspace

PROJECT = {
    "name": "diabetes",
    "task": "regression",
    "data": {"source": "patients.csv", "label": "progression"},
    "split": {"test": 0.3, "tune": 0.15, "seed": 3},
    "model": {"hidden": [16], "l2": 0.001, "dropout": 0.1},
    "train": {"epochs": 60, "batch_size": 32, "learning_rate": 0.005, "patience": 10},
    "evaluate": {"rules": {"baseline_gain": -5.0, "maximum": {"rmse": 70.0}, "minimum": {"r2": 0.25}}},
    "serving": {"rows": 1000},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory, lockgate):
    from sklearn.datasets import load_diabetes

    folder = tmp_path_factory.mktemp("diabetes")
    data = load_diabetes(as_frame=True, scaled=False)
    data.frame.rename(columns={"target": "progression"}).to_csv(folder / "patients.csv", index=False)
    (folder / "project.yaml").write_text(yaml.safe_dump(PROJECT))
    done = lockgate("run", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return RunFolder(Workspace(folder / ".lockgate").runs()[-1])


def test_the_model_explains_the_label_and_is_pushed(run):
    record = EvaluationRecord.load(run.artifact("evaluate", "evaluation") / "evaluation.json")
    assert Verdict.load(run.artifact("evaluate", "verdict")).is_open
    assert record.metric == "rmse"
    assert record.network.metric("r2").value > 0.25
    assert run.artifact("push", "card") is not None


def test_served_numbers_are_in_the_labels_unit(run):
    assert Verdict.load(run.artifact("check_serving", "verdict")).is_open
    record = EvaluationRecord.load(run.artifact("evaluate", "evaluation") / "evaluation.json")
    assert 100 < sum(record.residuals.predicted) / len(record.residuals.predicted) < 200
