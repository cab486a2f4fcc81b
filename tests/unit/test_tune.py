from pathlib import Path

import numpy as np
import pytest

from lockgate.errors import ConfigError
from lockgate.project import Project
from lockgate.training.crossing import network_folds
from lockgate.training.folds import FILE, assign
from lockgate.training.record import Trial
from lockgate.training.tune import check_space, search, with_settings
from tests.unit.training_data import write_features

SPACE = {"train.learning_rate": {"values": [1e-6, 0.05]}, "model.hidden": {"values": [[4], [8, 4]]}}


def project_of(space: dict | None = None, **more: object) -> Project:
    return Project.model_validate(
        {
            "name": "t",
            "task": "binary",
            "data": {"source": "x", "label": "y"},
            "model": {"hidden": [8]},
            "train": {"epochs": 9, "batch_size": 64, "patience": 0},
            "tune": {"trials": 3, "epochs": 1, "space": SPACE if space is None else space},
            **more,
        }
    )


def test_the_search_goes_on_where_it_was_interrupted_and_finds_the_better_setting(tmp_path: Path) -> None:
    write_features(tmp_path / "features", {"train": 640, "tune": 256})
    told: list[Trial] = []

    class Interrupted(Exception):
        pass

    def interrupt(trial: Trial) -> None:
        told.append(trial)
        raise Interrupted

    project = project_of()
    with pytest.raises(Interrupted):
        search(project, {}, tmp_path / "features", str(tmp_path / "work"), interrupt)
    found = search(project, {}, tmp_path / "features", str(tmp_path / "work"), told.append)
    assert [t.number for t in told] == [0, 1, 2]
    assert found.trials == tuple(told)
    best = max(told, key=lambda t: t.score)
    assert found.best == best.number
    assert found.train.learning_rate == best.settings["train.learning_rate"]
    assert found.model.hidden == tuple(best.settings["model.hidden"])
    assert found.train.epochs == 9
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"train.learning_rat": {"values": [1]}}, "train.learning_rat is no setting"),
        ({"data.label": {"values": ["a"]}}, "data.label is no setting"),
        ({"model.dropout": {"low": 0.0, "high": 1.5}}, "dropout cannot be 1.5"),
        ({"train.optimizer": {"values": ["adam", "best"]}}, "optimizer cannot be 'best'"),
        ({}, "tune.space is empty"),
    ],
)
def test_a_space_that_does_not_fit_is_refused(space: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_space(project_of(space))


def test_settings_are_changed_by_dotted_name() -> None:
    changed = with_settings(project_of(), {"train.batch_size": 32, "model.dropout": 0.5}, epochs=2)
    assert (changed.train.batch_size, changed.model.dropout, changed.train.epochs) == (32, 0.5, 2)
    assert changed.model.hidden == (8,)


def test_the_network_is_scored_on_every_fold(tmp_path: Path) -> None:
    write_features(tmp_path, {"train": 300, "tune": 100})
    np.save(tmp_path / FILE, assign(np.zeros(400), 2, 7))
    project = project_of(train={"epochs": 2, "batch_size": 32, "learning_rate": 0.05})
    found = network_folds(project, {}, tmp_path, 2)
    assert len(found.scores) == 2
    assert min(found.scores) > 0.8
    assert found.mean == pytest.approx(np.mean(found.scores))
