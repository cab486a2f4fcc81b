"""Pushed models: immutable, whole or not there, found again by their digest; refused behind a closed gate."""

import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from lockgate.data.snapshot import columns_of, content_of
from lockgate.errors import DeliveryError, ServingError, StorageError
from lockgate.evaluation.record import (
    Champion,
    EvaluationRecord,
    MetricValue,
    ModelScores,
    SliceScore,
    Threshold,
)
from lockgate.features.raw import raw_columns
from lockgate.ports import Delivery, Ports
from lockgate.project import Data, Project
from lockgate.records import Check, Partition, Snapshot, Verdict
from lockgate.shipping.folder import DERIVED, Example, ServingSpec, check_digest, folder_digest, publish
from lockgate.shipping.record import ModelCard
from lockgate.shipping.serve import greeting, model_folder
from lockgate.steps.push import push
from lockgate.steps.step import Settings
from lockgate.training.spec import ModelSpec
from lockgate.workspace import Workspace

PROJECT = Project(
    name="flights",
    description="To plan ground staff.",
    task="binary",
    data=Data(source="x.csv", label="late"),
)


@pytest.fixture
def model(tmp_path):
    """A model folder as training writes it; push moves bytes and never runs them."""
    folder = tmp_path / "trained"
    (folder / "saved_model" / "variables").mkdir(parents=True)
    (folder / "saved_model" / "saved_model.pb").write_bytes(b"graph")
    (folder / "saved_model" / "variables" / "variables.index").write_bytes(b"weights")
    ModelSpec(
        name="flights", task="binary", label="late", classes=("false", "true"),
        inputs=raw_columns({"distance": "number", "Ziel": "category", "time": "date"}),
        output="probability", snapshot="1" * 64, metric="roc_auc", rows=3, parameters=9,
    ).save(folder / "model.json")  # fmt: skip
    return folder


@pytest.fixture
def run(tmp_path, model):
    """Calls the step; returns whether it pushed, its card's path and the workspace."""
    workspace = Workspace(tmp_path / "space")
    frame = pl.DataFrame({
        "distance": [None, 200.5], "Ziel": [None, "Zürich"], "time": [datetime(2013, 10, 1, 5)] * 2,
        "late": [True, False],
    }).with_columns(pl.col("time").cast(pl.Datetime("us")))  # fmt: skip
    workspace.data.mkdir(parents=True)
    frame.write_parquet(workspace.data / "p.parquet")
    parts = tuple(
        Partition(
            path="data/p.parquet",
            split=split,
            rows=2,
            content="c",
            time_max=datetime(2013, 8, 31, tzinfo=UTC),
        )
        for split in ("train", "test")
    )
    columns = columns_of(frame)
    snapshot = Snapshot(
        content=content_of(columns, parts),
        rows=4,
        columns=columns,
        partitions=parts,
        source="x.csv",
        code_version="1",
    )
    snapshot.save(tmp_path / "snapshot" / "snapshot.json")
    evaluation = EvaluationRecord(
        project="flights", task="binary", label="late", snapshot=snapshot.content, metric="roc_auc",
        higher_is_better=True, confidence=0.95, rows=2, unlabelled=0, non_finite=0,
        models=(
            ModelScores(name="network", role="network", metrics=(
                MetricValue(name="roc_auc", value=0.72, rows=2, low=0.7, high=0.74),)),
            ModelScores(name="linear", role="baseline", metrics=(
                MetricValue(name="roc_auc", value=0.69, rows=2),)),
        ),
        champion=Champion(state="none", message="There is none."),
        threshold=Threshold(
            value=0.37, chosen_on="tune", sentence="At 0.37 a late flight costs least.", operating=()),
        slices=(SliceScore(column="carrier", value="HA", rows=300, min_rows=100, metric="roc_auc", score=0.6,
                           drop=0.12, significant=True),),
    )  # fmt: skip
    evaluation.save(tmp_path / "evaluation" / "evaluation.json")

    def call(closed: str = "", delivery: Delivery | None = None):
        for gate in ("data", "model", "serving"):
            checks = [
                Check(rule="memory", subject="s", severity="error", passed=True, message="ok", value=800.0)
            ]
            if gate == closed:
                checks.append(
                    Check(rule="r", subject="s", severity="error", passed=False, message="AUC too low.")
                )
            Verdict(gate=gate, checks=tuple(checks)).save(tmp_path / f"{gate}.json")
        card = tmp_path / "out" / "card.json"
        pushed = push(
            Settings(project=PROJECT, version="1").model_dump_json(), str(workspace.root),
            snapshot=tmp_path / "snapshot", model=model, evaluation=tmp_path / "evaluation",
            data_verdict=tmp_path / "data.json", model_verdict=tmp_path / "model.json",
            serving_verdict=tmp_path / "serving.json", card=card, ports=Ports(delivery=delivery),
        )  # fmt: skip
        return pushed, card, workspace

    return call


def pushed_models(workspace):
    return sorted(p.name for p in workspace.models.iterdir()) if workspace.models.exists() else []


def test_a_push_makes_a_folder_named_by_its_content_and_crowns_it(run, model):
    pushed, card_path, workspace = run()
    digest = workspace.champion()
    folder = workspace.models / digest
    assert pushed
    assert pushed_models(workspace) == [digest]
    assert folder_digest(folder) == digest
    check_digest(folder)
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o444 for p in folder.rglob("*") if p.is_file())
    assert os.access(model / "model.json", os.W_OK), "the artifact that it came from stays as it was"
    assert json.loads((folder / "serving.json").read_text()) == {"threshold": 0.37}
    assert json.loads((folder / "example.json").read_text())["row"] == {
        "distance": 200.5, "Ziel": "Zürich", "time": "2013-10-01T05:00:00.000000",
    }  # fmt: skip
    card = ModelCard.load(card_path)
    assert card == ModelCard.load(folder / "card.json")
    assert card.content == digest
    assert card.metrics[0].baselines == {"linear": 0.69}
    assert (card.threshold, card.decision) == (0.37, "At 0.37 a late flight costs least.")
    assert card.intended_use == "To plan ground staff."
    assert [v.gate for v in card.verdicts] == ["data", "model", "serving"]
    assert any("2013-08-31" in limit for limit in card.limits)
    assert any("carrier is HA" in limit for limit in card.limits)


def test_pushing_twice_changes_nothing(run):
    _, first_card, workspace = run()
    before = {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in workspace.models.rglob("*")}
    words = first_card.read_text()
    pushed, second_card, _ = run()
    assert pushed
    assert second_card.read_text() == words
    assert {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in workspace.models.rglob("*")} == before


class Delivered:
    """A place that takes revisions, or refuses them; remembers what it saw."""

    def __init__(self, workspace, refusal: str = "") -> None:
        self.workspace, self.refusal = workspace, refusal
        self.revisions, self.champions = [], []

    def deliver(self, revision):
        assert (self.workspace.models / revision.digest / "card.json").exists(), "it is there to be served"
        self.champions.append(self.workspace.champion())
        if self.refusal:
            raise DeliveryError(self.refusal)
        self.revisions.append(revision)
        return "it has the traffic"


def test_a_model_is_delivered_before_it_is_the_champion_and_each_time_alike(run, tmp_path, capsys):
    place = Delivered(Workspace(tmp_path / "space"))
    _, _, workspace = run(delivery=place)
    run(delivery=place)
    first, second = place.revisions
    assert first == second, "the second push takes the card and the memory of the first"
    assert first.digest == workspace.champion()
    assert first.row["Ziel"] == "Zürich"
    assert first.card.memory_mb == 800.0
    assert place.champions == [None, first.digest]
    assert "pushed; it has the traffic" in capsys.readouterr().out


def test_a_model_that_could_not_be_delivered_is_not_the_champion(run, tmp_path):
    with pytest.raises(DeliveryError, match="no route"):
        run(delivery=Delivered(Workspace(tmp_path / "space"), refusal="There is no route."))
    assert Workspace(tmp_path / "space").champion() is None
    pushed, _, workspace = run(delivery=Delivered(Workspace(tmp_path / "space")))
    assert pushed
    assert workspace.champion() is not None


def test_behind_a_closed_gate_nothing_is_delivered(run, tmp_path):
    place = Delivered(Workspace(tmp_path / "space"))
    run(closed="model", delivery=place)
    assert place.champions == []


def test_another_model_gets_another_folder_and_the_old_one_stays(run, model):
    _, _, workspace = run()
    first = workspace.champion()
    (model / "saved_model" / "variables" / "variables.index").write_bytes(b"other weights")
    run()
    assert workspace.champion() != first
    assert len(pushed_models(workspace)) == 2
    check_digest(workspace.models / first)


@pytest.mark.parametrize("gate", ["data", "model", "serving"])
def test_behind_a_closed_gate_nothing_is_pushed(run, gate, capsys):
    pushed, card, workspace = run(closed=gate)
    assert not pushed
    assert not card.exists()
    assert pushed_models(workspace) == []
    assert workspace.champion() is None
    assert (
        f"nothing was pushed: {gate} gate closed: 1 of 2 checks passed; AUC too low."
        in capsys.readouterr().out
    )


def test_an_interrupted_push_leaves_nothing(model, tmp_path):
    def interrupted(_: str):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish(tmp_path / "models", model, ServingSpec(), Example(row={}), interrupted)
    assert list((tmp_path / "models").iterdir()) == []


def test_what_a_killed_push_left_is_cleared_by_the_next(model, tmp_path):
    program = (
        "import os, signal, sys; from pathlib import Path; from lockgate.shipping.folder import *\n"
        "die = lambda digest: os.kill(os.getpid(), signal.SIGKILL)\n"
        "publish(Path(sys.argv[1]), Path(sys.argv[2]), ServingSpec(), Example(row={}), die)"
    )
    models = tmp_path / "models"
    ended = subprocess.run(
        [sys.executable, "-c", program, models, model], check=False, cwd=Path(__file__).parents[2]
    )
    assert ended.returncode == -9
    assert [p.name[:6] for p in models.iterdir()] == [".push-"]
    folder, is_new = publish(models, model, ServingSpec(), Example(row={}), lambda _: {})
    assert is_new
    assert list(models.iterdir()) == [folder]


def test_a_workspace_that_cannot_be_written_is_said(model, tmp_path):
    (tmp_path / "models").write_text("a file where a folder should be")
    with pytest.raises(StorageError):
        publish(tmp_path / "models", model, ServingSpec(), Example(row={}), lambda _: {})


def test_a_changed_folder_is_found_and_not_overwritten(run, model):
    _, _, workspace = run()
    changed = workspace.models / workspace.champion() / "model.json"
    changed.chmod(0o644)
    changed.write_text(changed.read_text().replace("late", "Late"))
    with pytest.raises(ServingError, match="was changed: its digest is") as error:
        run()
    assert "lockgate run --from push" in str(error.value)


def test_the_digest_leaves_out_what_is_made_from_it(run):
    _, _, workspace = run()
    folder = workspace.models / workspace.champion()
    for name in DERIVED:
        (folder / name).unlink()
    check_digest(folder)
    (folder / "extra").write_text("")
    with pytest.raises(ServingError, match="changed"):
        check_digest(folder)


def test_the_champion_is_served_and_another_by_its_first_digits(run):
    _, _, workspace = run()
    digest = workspace.champion()
    assert model_folder(workspace, None).name == digest
    assert model_folder(workspace, digest[:6]).name == digest
    with pytest.raises(ServingError, match="fits no model"):
        model_folder(workspace, "zz")
    text = greeting(workspace.models / digest, "flights", 8080)
    assert "curl -s http://127.0.0.1:8080/v1/models/flights:predict" in text
    assert '"Ziel": "Zürich"' in text


def test_before_the_first_push_serve_says_what_to_do(tmp_path):
    with pytest.raises(ServingError, match=r"No model was pushed .* Run `lockgate run`"):
        model_folder(Workspace(tmp_path), None)


def test_a_champion_that_was_not_compared_is_named_when_it_is_replaced(run, tmp_path, capsys):
    Workspace(tmp_path / "space").crown("e" * 64)  # by another run, after this model was judged
    _, _, workspace = run()
    assert (
        "it replaced eeeeeeeeeeee, crowned by another run after this model was judged"
        in capsys.readouterr().out
    )
    assert json.loads((workspace.root / "champion.json").read_text())["replaced"] == "e" * 64
    run()
    assert "it replaced" not in capsys.readouterr().out
