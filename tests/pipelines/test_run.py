"""The pipeline as a user meets it: `lockgate run` on the penguins, in real processes."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from lockgate.evaluation.record import EvaluationRecord
from lockgate.progress import read_events
from lockgate.records import Verdict
from lockgate.run_folder import STEPS, RunFolder
from lockgate.shipping.record import ModelCard
from lockgate.workspace import Workspace
from tests.conftest import change_project

# Short training: what is tested here is the way, not the model.
QUICK = {"train.epochs": 40, "serving.rows": 1000}


def last_run(folder: Path) -> RunFolder:
    return RunFolder(Workspace(folder / ".lockgate").runs()[-1])


def states(run: RunFolder) -> dict[str, str]:
    return {event.step: event.state for event in read_events(run.events)}


@pytest.fixture(scope="module")
def first(example, lockgate):
    folder = example("penguins", **QUICK)
    done = lockgate("run", folder)
    return folder, done, last_run(folder)


@pytest.fixture(scope="module")
def rejected(first, lockgate):
    """A second run in the same workspace, whose model the gate refuses."""
    folder, _, _ = first
    champion = Workspace(folder / ".lockgate").champion()
    change_project(folder, {"evaluate.rules.maximum": {"log_loss": 1e-6}})
    done = lockgate("run", folder, "--from", "evaluate")
    return done, last_run(folder), champion


def test_every_step_is_done_and_the_model_is_pushed(first):
    folder, done, run = first
    assert done.returncode == 0, done.stdout + done.stderr
    assert states(run) == dict.fromkeys(STEPS, "done")
    card = ModelCard.load(run.artifact("push", "card"))
    assert Workspace(folder / ".lockgate").champion() == card.content
    assert (folder / ".lockgate" / "models" / card.content / "saved_model").is_dir()


def test_the_terminal_shows_a_line_a_step_and_a_short_table(first):
    _, done, _ = first
    lines = [line for line in done.stdout.splitlines() if line.startswith(" ✓")]
    assert len(lines) == len(STEPS)
    assert re.search(r"✓ +Collect +\d+\.\d s +344 rows", lines[0])
    for word in ("data gate", "model gate", "serving gate", "log_loss", "report", "lockgate serve"):
        assert word in done.stdout


def test_the_report_is_one_self_contained_file(first):
    text = first[2].report.read_text()
    assert "<html" in text
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", text)
    for word in ("Adelie", "Chinstrap", "Gentoo", "bill_length_mm"):
        assert word in text


def test_every_component_wrote_its_artifacts_in_the_local_runner(first):
    run = first[2]
    wanted = {
        "collect": ["snapshot"], "validate": ["statistics", "verdict", "page"], "transform": ["features"],
        "tune": ["parameters"], "train": ["model", "training", "page"],
        "evaluate": ["evaluation", "verdict", "page"], "check_serving": ["record", "verdict", "page"],
        "push": ["card"],
    }  # fmt: skip
    assert wanted.keys() == set(STEPS)
    missing = [
        (step, name) for step, names in wanted.items() for name in names if not run.artifact(step, name)
    ]
    assert missing == []


def test_from_train_reuses_what_came_before(first, lockgate):
    folder = first[0]
    done = lockgate("run", folder, "--from", "train")
    assert done.returncode == 0, done.stdout + done.stderr
    found = states(last_run(folder))
    assert {step for step, state in found.items() if state == "reused"} == {
        "collect",
        "validate",
        "transform",
        "tune",
    }


def test_a_rejected_model_ends_the_run_well_and_pushes_nothing(first, rejected):
    done, run, champion = rejected
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Not pushed" in done.stdout
    verdict = Verdict.load(run.artifact("evaluate", "verdict"))
    assert [check.rule for check in verdict.errors] == ["maximum"]
    assert verdict.errors[0].limit == 1e-6
    assert "Rejected" in run.report.read_text()
    assert run.artifact("push", "card") is None
    assert "check_serving" not in states(run)
    assert Workspace(first[0] / ".lockgate").champion() == champion


def test_a_challenger_is_compared_with_the_champion_on_the_same_rows(rejected):
    _, run, _ = rejected
    record = EvaluationRecord.load(run.artifact("evaluate", "evaluation") / "evaluation.json")
    assert record.champion.state in ("compared", "same")


def test_a_closed_data_gate_stops_the_run_and_says_why(example, lockgate):
    folder = example(
        "penguins", **{"features.body_mass_g": {"max": 5000}, "validation.severity": {"range": "error"}}
    )
    done = lockgate("run", folder)
    assert done.returncode == 4, done.stdout + done.stderr
    assert "body_mass_g" in done.stdout
    assert "transform" in done.stdout or "gate" in done.stdout
    assert states(last_run(folder)) == {"collect": "done", "validate": "done", "transform": "failed"}
    assert "body_mass_g" in last_run(folder).report.read_text()


def test_a_second_run_in_the_same_workspace_is_refused(first, lockgate):
    folder = first[0]
    with Workspace(folder / ".lockgate").locked():
        done = lockgate("run", folder)
    assert done.returncode == 6
    assert f"process {os.getpid()}" in done.stderr


def test_resume_and_from_exclude_each_other(first, lockgate):
    done = lockgate("run", first[0], "--resume", "--from", "train")
    assert done.returncode == 2
    assert "Choose one of them" in done.stderr


def test_an_interrupted_run_is_resumed_where_it_was(example, lockgate):
    changes = {"train.epochs": 500, "train.patience": 0, "train.checkpoint_steps": 50, "split.folds": 0}
    folder = example("penguins", **QUICK | changes)
    program = Path(sys.executable).parent / "lockgate"
    running = psutil.Popen(
        [str(program), "run", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    checkpoints = folder / ".lockgate" / "checkpoints"
    wait_until(lambda: any(checkpoints.rglob("*.index")), running)
    os.killpg(running.pid, signal.SIGINT)
    output, _ = running.communicate(timeout=120)
    assert running.returncode == 130, output
    assert b"--resume" in output
    interrupted = last_run(folder)
    assert states(interrupted)["train"] == "interrupted"

    done = lockgate("run", folder, "--resume")
    assert done.returncode == 0, done.stdout + done.stderr
    resumed = last_run(folder)
    assert resumed.path == interrupted.path
    found = states(resumed)
    assert {found[step] for step in ("collect", "validate", "transform", "tune")} == {"reused"}
    training = json.loads((resumed.artifact("train", "training") / "training.json").read_text())
    assert training["resumed_at"][0] > 0


def wait_until(condition, running: psutil.Popen, timeout: float = 180) -> None:
    """Polls a condition while the process runs; fails when it ends first, or after the deadline."""
    for _ in range(int(timeout / 0.1)):
        if condition():
            return
        assert running.poll() is None, running.stdout.read()
        try:
            running.wait(0.1)
        except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
            continue
    pytest.fail(f"waited {timeout:.0f} s in vain")
