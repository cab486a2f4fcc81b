import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lockgate.errors import TrainingError
from lockgate.project import Project
from lockgate.training.checkpoint import load_weights
from lockgate.training.distribute import LocalProcesses, free_ports
from lockgate.training.exits import Action, decide, peers
from lockgate.training.job import DONE, Job, run_job, strategy_of
from lockgate.training.loop import Watch
from lockgate.training.state import LoopState
from tests.unit.training_data import write_features

ROWS = {"train": 2048, "tune": 512}


def job_of(folder: Path, name: str, *, code: str = "", model: dict | None = None, **train: object) -> Job:
    settings = {"epochs": 2, "batch_size": 32, "patience": 0, "shards": 2, "checkpoint_steps": 8, **train}
    project = Project.model_validate(
        {
            "name": "t",
            "task": "binary",
            "data": {"source": "x", "label": "y"},
            "model": model or {"hidden": [8], "batch_norm": True},
            "train": settings,
        }
    )
    return Job(
        project=project,
        code={"own.py": code} if code else {},
        features=str(folder / "features"),
        folder=str(folder / name),
    )


def launcher(
    job: Job, progress: Callable[[LoopState], None] = lambda _: None, **more: object
) -> LocalProcesses:
    settings = {"max_restarts": 2, "grace": 60.0, **more}
    return LocalProcesses(job, Path(job.folder), workers=2, progress=progress, **settings)


def result(job: Job) -> LoopState:
    return LoopState.load(Path(job.folder) / DONE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("distribute")
    write_features(found / "features", ROWS)
    return found


@pytest.fixture(scope="module")
def alone(folder: Path) -> Job:
    job = job_of(folder, "alone")
    run_job(job, strategy_of(1), watch=Watch())
    return job


def test_two_workers_learn_what_one_process_learns(folder: Path, alone: Job) -> None:
    job = job_of(folder, "two", workers=2)
    launcher(job).run()
    one, two = result(alone), result(job)
    assert one.step == two.step == 128
    for a, b in zip(one.history, two.history, strict=True):
        assert a.loss == pytest.approx(b.loss, abs=1e-5)
        assert a.tune_loss == pytest.approx(b.tune_loss, abs=1e-5)
        assert a.metric == pytest.approx(b.metric, abs=1e-5)
    assert one.best_metric is not None
    assert one.best_metric > 0.88
    ours, theirs = (load_weights(Path(j.folder) / "best.npz") for j in (alone, job))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_a_killed_worker_is_restarted_and_the_planned_steps_are_taken(folder: Path, alone: Job) -> None:
    job = job_of(folder, "killed", workers=2)
    killed: list[int] = []

    def kill(state: LoopState) -> None:
        if 16 <= state.step < 64 and not killed:  # in mid-epoch, past a checkpoint
            killed.append(state.step)
            runner.processes[1].send_signal(signal.SIGKILL)

    runner = launcher(job, kill)
    runner.run()
    state = result(job)
    assert killed
    assert runner.restarts == 1
    assert state.step == 128
    assert len(state.resumed_at) == 1
    assert state.resumed_at[0] % 8 == 0
    assert [e.step for e in state.history] == [64, 128]
    assert state.history[-1].loss == pytest.approx(result(alone).history[-1].loss, abs=1e-5)


def test_the_users_error_is_told_once_with_its_traceback_and_not_tried_again(folder: Path) -> None:
    code = "def network(inputs, project):\n    raise ValueError('no such thing')\n"
    job = job_of(folder, "user", code=code, model={"function": "own.py:network"}, workers=2)
    runner = launcher(job)
    with pytest.raises(TrainingError) as raised:
        runner.run()
    assert runner.restarts == 0
    assert raised.value.given.count("ValueError: no such thing") == 1
    assert 'File "own.py", line 2' in raised.value.given


SCRIPT = """
import sys
from pathlib import Path
from lockgate.training.distribute import LocalProcesses
from lockgate.training.job import Job
job = Job.load(Path(sys.argv[1]))
progress = lambda state: print(state.step, flush=True)
try:
    LocalProcesses(
        job, Path(job.folder), workers=2, max_restarts=0, grace=60.0, progress=progress
    ).run()
except KeyboardInterrupt:
    sys.exit(42)
"""


def test_asked_to_stop_it_saves_and_ends_at_the_same_step_when_resumed(folder: Path) -> None:
    job, plain = (
        job_of(folder, name, epochs=30, workers=n, checkpoint_steps=100_000)
        for name, n in (("stopped", 2), ("plain", 1))
    )
    file = folder / "stopped.json"
    job.save(file)
    command = [sys.executable, "-c", SCRIPT, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if int(line) >= 8)
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        assert process.wait() == 42
    # One process takes up what two have saved: nothing in a checkpoint depends on their number.
    alone = job.model_copy(update={"project": plain.project})
    for each in (alone, plain):
        run_job(each, strategy_of(1), watch=Watch())
    resumed, straight = result(alone), result(plain)
    assert len(resumed.resumed_at) == 1
    assert 8 <= resumed.resumed_at[0] < resumed.step
    assert resumed.step == straight.step == 30 * 64
    assert [e.epoch for e in resumed.history] == list(range(1, 31))
    assert [e.loss for e in resumed.history] == pytest.approx([e.loss for e in straight.history], abs=1e-5)


@pytest.mark.parametrize(
    ("codes", "error", "memory", "action"),
    [
        ([None, None], False, False, Action.WAIT),
        ([0, None], False, False, Action.WAIT),
        ([0, 0], False, False, Action.FINISH),
        ([42, 42], False, False, Action.SAVED),
        ([42, 0], False, False, Action.SAVED),
        ([75, None], False, False, Action.RESTART),
        ([-9, None], False, False, Action.RESTART),
        ([-6, 75], False, False, Action.RESTART),
        ([-9, None], False, True, Action.OUT_OF_MEMORY),
        ([137, None], False, False, Action.OUT_OF_MEMORY),
        ([75, 64], False, False, Action.FAIL),
        ([75, None], True, False, Action.FAIL),
    ],
)
def test_exit_codes_decide(codes: list, error: bool, memory: bool, action: Action) -> None:
    assert decide(codes, has_user_error=error, was_out_of_memory=memory) is action


def test_workers_find_each_other_by_ports_that_differ() -> None:
    ports = free_ports(3)
    assert len(set(ports)) == 3
    config = json.loads(json.dumps(peers(ports, 2)))
    assert config["task"] == {"type": "worker", "index": 2}
    assert config["cluster"]["worker"][0] == f"127.0.0.1:{ports[0]}"
