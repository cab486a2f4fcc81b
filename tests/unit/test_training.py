import os
import signal
from pathlib import Path

import numpy as np
import pytest

from lockgate.errors import ConfigError, DataError, TrainingError
from lockgate.evaluation.metrics import measure
from lockgate.evaluation.scored import Scored
from lockgate.features.spec import TransformSpec
from lockgate.project import Project
from lockgate.training.executor import execute
from lockgate.training.input import Memory
from lockgate.training.job import Job, make_loop
from lockgate.training.loop import Loop, call_sizes, is_better
from lockgate.training.state import LoopState
from tests.unit.training_data import tiny_rows, tiny_spec, write_features


def project_of(task: str = "binary", model: dict | None = None, **train: object) -> Project:
    return Project.model_validate(
        {
            "name": "t",
            "task": task,
            "data": {"source": "x", "label": "y"},
            "model": {"hidden": [8], **(model or {})},
            "train": {"epochs": 3, "batch_size": 64, "learning_rate": 0.02, "patience": 0, **train},
        }
    )


def loop_of(project: Project, *, rows: int = 1024, spec: TransformSpec | None = None, **more: object) -> Loop:
    train, tune = (Memory(tiny_rows(n, s, project.task)) for n, s in ((rows, 0), (300, 1)))
    return make_loop(project, {}, spec or tiny_spec(project.task), train, tune, **more)


@pytest.mark.parametrize(
    ("task", "settings", "best"),
    [
        ("binary", {"optimizer": "adamw", "weight_decay": 0.01, "schedule": "cosine", "ema": True}, 0.9),
        ("binary", {"mixed_precision": True, "label_smoothing": 0.1, "class_weight": "balanced"}, 0.9),
        ("multiclass", {"optimizer": "adam", "clip_norm": 1.0}, 0.75),
        ("regression", {"optimizer": "sgd"}, 2.6),
    ],
)
def test_each_task_is_learnt(task: str, settings: dict, best: float) -> None:
    model = {"dropout": 0.1, "batch_norm": True, "members": 2, "embedding_dropout": 0.1, "l2": 1e-5}
    loop = loop_of(project_of(task, model, **settings))
    state = loop.run()
    assert state.step == 3 * 16
    assert state.best_metric is not None
    if task == "binary":
        assert state.best_metric > best
    else:
        assert state.best_metric < best
    assert [e.epoch for e in state.history] == [1, 2, 3]
    assert loop.best is not None
    assert loop.judge is not None
    assert loop.judge.measure(loop.best).metric == state.best_metric


def test_patience_stops_and_the_best_epoch_is_kept() -> None:
    loop = loop_of(project_of(epochs=60, patience=2, learning_rate=0.5), rows=128)
    state = loop.run()
    assert state.stopped_early
    assert len(state.history) == state.best_epoch + 2 < 60
    metrics = [e.metric for e in state.history]
    assert state.best_metric == max(metrics) == metrics[state.best_epoch - 1]


def test_a_loss_that_is_not_finite_stops_with_advice() -> None:
    loop = loop_of(project_of("regression", optimizer="sgd", learning_rate=1e6))
    with pytest.raises(TrainingError, match=r"The loss is (nan|inf) after step") as raised:
        loop.run()
    assert "train.learning_rate" in raised.value.next_step


def test_settings_that_do_not_go_together_are_refused() -> None:
    from lockgate.training.stepper import refuse_clipping

    with pytest.raises(ConfigError, match="multiple"):
        loop_of(project_of(workers=2, shards=3, batch_size=60))
    with pytest.raises(ConfigError, match=r"train.batch_size is 65 with 2 shards"):
        loop_of(project_of(shards=2, batch_size=65))
    with pytest.raises(ConfigError, match=r"clip_norm is 1 with 2 replicas"):
        refuse_clipping(project_of(clip_norm=1.0).train, 2)
    with pytest.raises(DataError, match="tune split has 0 labelled rows"):
        make_loop(project_of(), {}, tiny_spec(), Memory(tiny_rows(10, 0)), Memory(tiny_rows(0, 0)))


OWN = """
import keras

def network(inputs, project):
    merged = keras.layers.Concatenate()([inputs["numbers"], keras.ops.one_hot(inputs["c"], 5)])
    return keras.layers.Dense(1)(keras.layers.Dense(8, activation="relu")(merged))

def finished(inputs, project):
    return keras.layers.Dense(1, activation="sigmoid")(inputs["numbers"])

def wide(inputs, project):
    return keras.layers.Dense(3)(inputs["numbers"])[:, :, None]

def broken(inputs, project):
    return inputs["nothing"]
"""


def test_the_users_function_makes_the_network() -> None:
    project = project_of(model={"function": "own.py:network"})
    train, tune = Memory(tiny_rows(1024, 0)), Memory(tiny_rows(300, 1))
    state = make_loop(project, {"own.py": OWN}, tiny_spec(), train, tune).run()
    assert state.best_metric is not None
    assert state.best_metric > 0.9


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("own.py:finished", "ends with the activation 'sigmoid'"),
        ("own.py:wide", r"must be \[n, 1\]"),
        ("own.py:broken", "(?s)line 15.*KeyError: 'nothing'"),
        ("own.py:absent", "has no function 'absent'"),
        ("other.py:network", "is not there"),
    ],
)
def test_what_is_wrong_with_the_users_function_is_said(name: str, message: str) -> None:
    project = project_of(model={"function": name})
    rows = Memory(tiny_rows(64, 0))
    with pytest.raises(TrainingError, match=message):
        make_loop(project, {"own.py": OWN}, tiny_spec(), rows, rows)


def test_ctrl_c_saves_and_the_next_run_ends_at_the_same_step_with_the_same_history(tmp_path: Path) -> None:
    write_features(tmp_path / "features", {"train": 1024, "tune": 256})
    project = project_of(epochs=6, ema=True, checkpoint_steps=10, batch_size=32)
    straight, broken = (
        Job(project=project, features=str(tmp_path / "features"), folder=str(tmp_path / name))
        for name in ("straight", "broken")
    )
    expected = execute(straight, lambda _: None).state

    def interrupt(state: LoopState) -> None:
        if state.step >= 50 and not state.is_done:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        execute(broken, interrupt)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    found = execute(broken, lambda _: None)
    assert found.state.step == expected.step == 192
    assert len(found.state.resumed_at) == 1
    assert 50 <= found.state.resumed_at[0] < 192
    assert [e.loss for e in found.state.history] == pytest.approx(
        [e.loss for e in expected.history], abs=1e-6
    )
    assert [e.metric for e in found.state.history] == pytest.approx(
        [e.metric for e in expected.history], abs=1e-4
    )
    assert execute(broken, lambda _: None).state == found.state


def test_a_new_epoch_is_better_only_by_more_than_rounding() -> None:
    assert is_better("roc_auc", 0.5, None)
    assert is_better("roc_auc", 0.7, 0.6)
    assert not is_better("roc_auc", 0.6 + 1e-9, 0.6)
    assert is_better("rmse", 1.0, 2.0)
    assert not is_better("rmse", 2.0, 1.0)
    assert is_better("rmse", 2.0, float("nan"))
    assert not is_better("rmse", float("nan"), 2.0)


def test_calls_end_at_checkpoints_and_at_the_epochs_end() -> None:
    assert list(call_sizes(LoopState(), 40, 25)) == [16, 9, 15]
    assert list(call_sizes(LoopState(step=23, in_epoch=23), 40, 25)) == [2, 15]


def test_the_judge_measures_what_evaluation_measures() -> None:
    loop = loop_of(project_of(epochs=1))
    loop.run()
    assert loop.judge is not None
    assert loop.best is not None
    tune = tiny_rows(300, 1)
    loop.judge.network.set_weights(loop.best)
    answers = loop.judge.answers(tune).astype(np.float64)
    assert measure("roc_auc", Scored("binary", tune.label, answers)) == loop.state.best_metric
