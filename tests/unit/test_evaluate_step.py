"""The evaluate step on a real exported network, real baselines and a champion: tumours from scikit-learn."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_breast_cancer

from lockgate.errors import DataError
from lockgate.evaluation.record import EvaluationRecord
from lockgate.features.fit import fit
from lockgate.features.raw import encode
from lockgate.project import Project
from lockgate.records import Verdict
from lockgate.steps.evaluate import evaluate
from lockgate.steps.step import Settings
from lockgate.training.record import Parameters, TrainingRecord
from lockgate.training.rivals import RivalsJob, fit_all
from lockgate.training.spec import OUTPUTS, ModelSpec
from lockgate.workspace import Workspace
from tests.unit.training_data import make_profile, make_snapshot

PROJECT = Project.model_validate(
    {
        "name": "tumours",
        "task": "binary",
        "data": {"source": "x", "label": "benign", "keys": ["patient"]},
        "features": {"mean_radius": {}, "mean_texture": {}, "size": {}},
        "model": {"hidden": [8]},
        "train": {"baseline": "linear"},
        "evaluate": {
            "bootstrap": 200,
            "costs": {"false_positive": 5, "false_negative": 1, "unit": "visits"},
            "slices": [
                {"column": "size", "min_rows": 20},
                {"column": "mean_texture", "bins": 2, "min_rows": 20},
            ],
            "fairness": ["size"],
            "rules": {"baseline_gain": -0.05, "champion_margin": 0.01, "minimum": {"roc_auc": 0.9}},
        },
    }
)


def tumours() -> dict[str, list[pl.DataFrame]]:
    loaded = load_breast_cancer(as_frame=True).data
    frame = pl.DataFrame(
        {
            "patient": np.arange(569),
            "mean_radius": loaded["mean radius"].to_numpy(),
            "mean_texture": loaded["mean texture"].to_numpy(),
            "size": np.where(loaded["mean area"] > 550, "large", "small"),
            "benign": load_breast_cancer().target == 1,
        }
    ).sample(fraction=1, shuffle=True, seed=1)
    # Five test rows come without a label.
    test = frame[369:].with_columns(
        benign=pl.when(pl.int_range(pl.len()) < 5).then(None).otherwise(pl.col("benign"))
    )
    return {"train": [frame[:249]], "tune": [frame[249:309], frame[309:369]], "test": [test]}


@dataclass
class Case:
    folder: Path
    workspace: Workspace

    def run(self, name: str, project: Project = PROJECT) -> tuple[bool, EvaluationRecord, Verdict, str]:
        out = self.folder / name
        is_open = evaluate(
            Settings(project=project, version="test").model_dump_json(),
            str(self.workspace.root),
            snapshot=self.folder / "snapshot",
            model=self.folder / "model",
            training=self.folder / "training",
            evaluation=out / "evaluation",
            verdict=out / "verdict.json",
            page=out / "page.html",
        )
        record = EvaluationRecord.load(out / "evaluation" / "evaluation.json")
        return is_open, record, Verdict.load(out / "verdict.json"), (out / "page.html").read_text()

    def crown(self, digest: str, **changes: object) -> None:
        """Makes the same model the champion, with changes to its model.json."""
        target = self.workspace.models / digest
        shutil.copytree(self.folder / "model", target)
        told = json.loads((target / "model.json").read_text())
        (target / "model.json").write_text(json.dumps({**told, **changes}))
        self.workspace.crown(digest)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Case:
    import keras
    import tensorflow as tf

    from lockgate.features.preprocess import build
    from lockgate.training.export import export
    from lockgate.training.network import build_network

    folder = tmp_path_factory.mktemp("tumours")
    workspace, frames = Workspace(folder / "workspace"), tumours()
    snapshot = make_snapshot(workspace, frames)
    (folder / "snapshot").mkdir()
    snapshot.save(folder / "snapshot" / "snapshot.json")
    spec = fit(PROJECT, workspace, snapshot, make_profile(PROJECT, frames))
    (folder / "features").mkdir()
    spec.save(folder / "features" / "spec.json")
    job = RivalsJob(
        project=PROJECT,
        workspace=str(workspace.root),
        snapshot=str(folder / "snapshot"),
        features=str(folder / "features"),
        folder=str(folder / "training"),
    )
    baselines = fit_all(job).baselines
    keras.utils.set_random_seed(0)
    network = build_network(PROJECT, {}, spec)
    fed = {k: tf.constant(v) for k, v in encode(frames["train"][0], spec.columns).items()}
    network.compile(keras.optimizers.Adam(0.02), keras.losses.BinaryCrossentropy(from_logits=True))
    labels = frames["train"][0]["benign"].cast(pl.Float32).to_numpy()
    network.fit(build(spec)(fed), labels, epochs=60, batch_size=64, verbose=0)
    card = ModelSpec(
        name="tumours",
        task="binary",
        label="benign",
        classes=spec.label.classes,
        inputs=spec.columns,
        output=OUTPUTS["binary"],
        snapshot=snapshot.content,
        metric="roc_auc",
        rows=249,
        parameters=network.count_params(),
    )
    export(folder / "model", spec, network, card)
    chosen = Parameters(model=PROJECT.model, train=PROJECT.train, metric="roc_auc")
    TrainingRecord(
        metric="roc_auc",
        greater_is_better=True,
        history=(),
        best_epoch=60,
        stopped_early=False,
        steps=240,
        steps_per_epoch=4,
        seconds=1.0,
        rows=249,
        workers=1,
        parameters=chosen,
        weights=network.count_params(),
        baselines=baselines,
    ).save(folder / "training" / "training.json")
    return Case(folder, workspace)


@pytest.fixture
def case(trained, tmp_path) -> Case:
    """A copy of the trained case, with no champion."""
    shutil.copytree(trained.folder, tmp_path / "case")
    return Case(tmp_path / "case", Workspace(tmp_path / "case" / "workspace"))


def test_a_first_model_is_judged_on_the_labelled_rows(case):
    is_open, record, verdict, page = case.run("first")
    assert is_open
    assert verdict.is_open
    assert (record.rows, record.unlabelled) == (195, 5)
    assert [m.name for m in record.models] == ["network", "trivial", "linear"]
    assert record.scores("trivial").metric("roc_auc").value == 0.5
    assert record.champion.state == "none"
    assert record.threshold.unit == "visits"
    assert {s.column for s in record.slices} == {"size", "mean_texture"}
    assert {i.column for i in record.importance} == {"mean_radius", "mean_texture", "size"}
    assert all(name == "patient" for m in record.mistakes for name, _ in m.keys)
    assert record.threshold.sentence.split(",")[0] in page
    assert page.startswith("<!DOCTYPE html>") or page.startswith("<!doctype html>")


def test_the_same_champion_is_no_obstacle(case):
    case.crown("a" * 64)
    is_open, record, verdict, _ = case.run("again")
    assert is_open
    assert (record.champion.state, record.champion.model) == ("same", "a" * 64)
    assert next(c for c in verdict.checks if c.rule == "champion").value == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"label": "malignant"}, "its label was malignant, and now is benign"),
        (
            {"inputs": [{"name": "mean_area", "kind": "number", "tensor": "mean_radius"}]},
            "The rows have no column 'mean_area'",
        ),
    ],
)
def test_a_champion_that_cannot_score_these_rows_is_told_of(case, changes, reason):
    case.crown("b" * 64, **changes)
    is_open, record, verdict, _ = case.run("changed")
    assert is_open
    assert record.champion.state == "incomparable"
    (warning,) = (c for c in verdict.warnings if c.rule == "champion")
    assert reason in warning.message
    refuse = PROJECT.model_copy(
        update={
            "evaluate": PROJECT.evaluate.model_copy(
                update={"rules": PROJECT.evaluate.rules.model_copy(update={"first_model": "refuse"})}
            )
        }
    )
    is_open, _, verdict, _ = case.run("refused", refuse)
    assert not is_open
    assert [c.rule for c in verdict.errors] == ["champion"]


def test_a_champion_whose_folder_is_gone_is_told_of(case):
    case.workspace.crown("c" * 64)
    _, record, _, _ = case.run("gone")
    assert record.champion.state == "incomparable"
    assert "cannot be read" in record.champion.message


def test_test_rows_without_any_label_are_refused(case):
    for file in case.workspace.data.glob("test-*.parquet"):
        pl.read_parquet(file).with_columns(benign=pl.lit(None, pl.Boolean)).write_parquet(file)
    with pytest.raises(DataError, match="None of the 200 rows of the test split has a label"):
        case.run("unlabelled")


def test_baselines_of_other_rows_are_refused(case):
    file = case.folder / "training" / "baselines" / "linear.parquet"
    pl.read_parquet(file)[:-3].write_parquet(file)
    with pytest.raises(DataError, match="baseline linear predicted 192 rows of test"):
        case.run("others")
