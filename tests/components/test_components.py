"""Each component as a plain function: what it reads, what it writes, what it returns.

That the same components run in KFP's local runner shows tests/pipelines/test_run.py.
"""

from importlib import import_module
from pathlib import Path

import pytest
from kfp import dsl

from lockgate.cli.place import Place
from lockgate.data.profile import Profile
from lockgate.evaluation.record import EvaluationRecord
from lockgate.features.spec import TransformSpec
from lockgate.records import Snapshot, Verdict
from lockgate.run_folder import STEPS
from lockgate.shipping.record import ModelCard
from lockgate.training.record import TrainingRecord
from lockgate.training.spec import ModelSpec
from pipelines.runners import SECTIONS, pipeline_arguments


class Chain:
    """Calls components as plain functions, each after those it depends on, and remembers what they gave."""

    def __init__(self, place: Place, folder: Path) -> None:
        self.place = place
        self.folder = folder
        self.arguments = pipeline_arguments(place.project, place.folder, place.workspace)
        self.opened: dict[str, bool] = {}

    def path(self, step: str, artifact: str) -> Path:
        """Where an artifact lies; the step runs first if it has not yet."""
        if step not in self.opened:
            self._call(step)
        return self.folder / step / artifact

    def _call(self, step: str) -> None:
        component = getattr(import_module(f"components.{step}.component"), step)
        given = {"settings": self.arguments[f"{step}_settings"], "workspace": str(self.place.workspace.root)}
        for name in component.component_spec.inputs:
            if name not in given:
                given[name] = self._artifact(*SOURCES.get((step, name)) or (MAKERS[name], name))
        for name in component.component_spec.outputs:
            if name != "Output":
                given[name] = dsl.Artifact(uri=str(self.folder / step / name))
        self.opened[step] = component.python_func(**given)

    def _artifact(self, step: str, name: str) -> dsl.Artifact:
        return dsl.Artifact(uri=str(self.path(step, name)))


MAKERS = {
    "snapshot": "collect", "statistics": "validate", "features": "transform", "parameters": "tune",
    "model": "train", "training": "train", "evaluation": "evaluate",
}  # fmt: skip
SOURCES = {
    ("transform", "verdict"): ("validate", "verdict"),
    ("push", "data_verdict"): ("validate", "verdict"),
    ("push", "model_verdict"): ("evaluate", "verdict"),
    ("push", "serving_verdict"): ("check_serving", "verdict"),
}


@pytest.fixture(scope="module")
def chain(example, tmp_path_factory):
    folder = example("penguins", **{"train.epochs": 40, "serving.rows": 1000})
    return Chain(Place.find(folder, None), tmp_path_factory.mktemp("artifacts"))


def test_collect_freezes_every_row(chain):
    snapshot = Snapshot.load(chain.path("collect", "snapshot") / "snapshot.json")
    assert snapshot.rows == 344
    assert sum(partition.rows for partition in snapshot.partitions) == 344


def test_validate_profiles_every_column_and_opens(chain):
    folder = chain.path("validate", "statistics")
    profile = Profile.load(folder / "profile.json")
    assert {"species", "island", "bill_length_mm"} <= profile.splits["train"].keys()
    assert {file.name for file in folder.iterdir()} >= {"statistics.pb", "schema.pbtxt", "anomalies.pb"}
    assert Verdict.load(chain.path("validate", "verdict")).is_open == chain.opened["validate"] is True


def test_transform_writes_the_networks_inputs(chain):
    folder = chain.path("transform", "features")
    spec = TransformSpec.load(folder / "spec.json")
    assert {feature.name for feature in spec.features} >= {"island", "bill_length_mm"}
    assert all(any((folder / split).glob("*.parquet")) for split in ("train", "tune", "test"))


def test_tune_passes_the_projects_settings_on_without_trials(chain):
    assert '"epochs": 40' in chain.path("tune", "parameters").read_text()


def test_train_leaves_a_model_and_its_record(chain):
    model = chain.path("train", "model")
    assert ModelSpec.load(model / "model.json").classes == ("Adelie", "Chinstrap", "Gentoo")
    assert (model / "saved_model" / "saved_model.pb").exists()
    record = TrainingRecord.load(chain.path("train", "training") / "training.json")
    assert record.steps > 0
    assert "<svg" in chain.path("train", "page").read_text()


def test_evaluate_scores_the_network_and_the_baselines_on_the_same_rows(chain):
    record = EvaluationRecord.load(chain.path("evaluate", "evaluation") / "evaluation.json")
    rows = {metric.rows for model in record.models for metric in model.metrics if metric.name == "log_loss"}
    assert rows == {record.rows}
    assert len(record.models) >= 3


def test_check_serving_finds_no_difference(chain):
    verdict = Verdict.load(chain.path("check_serving", "verdict"))
    assert verdict.is_open, verdict.sentence()


def test_push_names_the_model_by_its_digest(chain):
    card = ModelCard.load(chain.path("push", "card"))
    assert chain.opened["push"]
    assert (chain.place.workspace.models / card.content).is_dir()


def test_every_step_has_a_component_and_settings():
    assert SECTIONS.keys() == set(STEPS)
    for step in STEPS:
        assert (Path(__file__).parents[2] / "components" / step / "component.py").exists()
