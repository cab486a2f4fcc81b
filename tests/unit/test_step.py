"""What all steps have in common: reuse, events, errors, workspaces."""

import json
import multiprocessing
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lockgate.config import parse_project
from lockgate.errors import Busy, DataError, StorageError
from lockgate.progress import EVENTS_VARIABLE, Event, emit, now, read_events
from lockgate.records import Check, Verdict, digest_of
from lockgate.run_folder import RunFolder
from lockgate.steps.step import REUSE_VARIABLE, Outcome, Run, Settings, content_digest, step
from lockgate.storage import replacing, write_atomically
from lockgate.workspace import Workspace

PROJECT = parse_project("{name: demo, task: binary, data: {source: rows.csv, label: y}}")
calls: list[str] = []


@step
def double(run: Run, numbers: Path, *, doubled: Path) -> Outcome:
    """Doubles a number; stands for any step."""
    calls.append(run.key)
    value = int(numbers.read_text())
    if value < 0:
        raise DataError(f"{value} is negative.", "Only 0 and more.", "Mend the file.")
    doubled.write_text(str(2 * value))
    return Outcome(message=f"doubled {value}", rows=1, is_open=value != 13)


@pytest.fixture
def place(tmp_path, monkeypatch):
    calls.clear()
    monkeypatch.setenv(EVENTS_VARIABLE, str(tmp_path / "events.jsonl"))
    (tmp_path / "numbers").write_text("21")
    return tmp_path


def call(place: Path, version: str = "1", target: str = "doubled") -> bool:
    settings = Settings(project=PROJECT, version=version).model_dump_json()
    return double(settings, str(place / "workspace"), numbers=place / "numbers", doubled=place / target)


def states(place: Path) -> list[str]:
    return [event.state for event in read_events(place / "events.jsonl")]


def test_a_step_writes_its_output_and_tells_of_it(place):
    assert call(place)
    assert (place / "doubled").read_text() == "42"
    assert states(place) == ["started", "done"]


def test_a_closed_way_is_returned(place):
    (place / "numbers").write_text("13")
    assert not call(place)


def test_without_leave_nothing_is_reused(place):
    call(place)
    call(place)
    assert len(calls) == 2


def test_the_same_work_is_reused_where_allowed(place, monkeypatch):
    monkeypatch.setenv(REUSE_VARIABLE, "double")
    call(place)
    assert call(place, target="again")
    assert len(calls) == 1
    assert (place / "again").read_text() == "42"
    assert states(place) == ["started", "done", "reused"]


@pytest.mark.parametrize("change", ["input", "code"])
def test_changed_work_is_done_again(place, monkeypatch, change):
    monkeypatch.setenv(REUSE_VARIABLE, "double")
    call(place)
    if change == "input":
        (place / "numbers").write_text("4")
    call(place, version="2" if change == "code" else "1")
    assert len(set(calls)) == 2


def test_an_error_is_told_with_its_advice_and_nothing_is_kept(place, monkeypatch):
    monkeypatch.setenv(REUSE_VARIABLE, "double")
    (place / "numbers").write_text("-1")
    with pytest.raises(DataError):
        call(place)
    failed = list(read_events(place / "events.jsonl"))[-1]
    assert (failed.state, failed.message, failed.exit_code) == ("failed", "-1 is negative.", 3)
    assert failed.advice == ("Only 0 and more.", "Mend the file.")
    assert not (place / "workspace" / "results").exists()


def test_a_line_in_the_making_is_not_read(place):
    call(place)
    with (place / "events.jsonl").open("a") as events:
        events.write('{"step": "dou')
    assert states(place) == ["started", "done"]


def test_a_line_separator_inside_a_message_is_no_end_of_a_line(place):
    emit(Event(step="collect", state="done", time=now(), message="column \u2028 here"))
    assert [event.message for event in read_events(place / "events.jsonl")] == ["column \u2028 here"]


def test_a_refusal_of_the_disk_is_told_as_such(place):
    (place / "no folder").write_text("")
    with pytest.raises(StorageError):
        call(place, target="no folder/doubled")
    failed = list(read_events(place / "events.jsonl"))[-1]
    assert (failed.state, failed.exit_code) == ("failed", StorageError.exit_code)


def test_only_the_newest_results_are_kept(place):
    for version in "12345":
        call(place, version=version)
    kept = list((place / "workspace" / "results" / "double").iterdir())
    assert {k.name for k in kept} == set(calls[-Workspace.KEPT_RESULTS :])


def test_content_digest_sees_names_and_bytes(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_text("1")
    first = content_digest(tmp_path / "a")
    (tmp_path / "a" / "x").rename(tmp_path / "a" / "y")
    assert content_digest(tmp_path / "a") != first


def test_a_digest_does_not_depend_on_the_order_of_keys():
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})


def hold(root: str, ready, release) -> None:
    with Workspace(root).locked():
        ready.set()
        release.wait(30)


def test_two_runs_at_once_are_refused_with_the_holders_process(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    holder = context.Process(target=hold, args=(str(tmp_path), ready, release))
    holder.start()
    assert ready.wait(30)
    with pytest.raises(Busy, match=f"process {holder.pid}"), Workspace(tmp_path).locked():
        pytest.fail("the workspace was given twice")
    release.set()
    holder.join(30)
    with Workspace(tmp_path).locked():
        assert not holder.is_alive()


def test_a_killed_run_does_not_hold_the_workspace(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    holder = context.Process(target=hold, args=(str(tmp_path), ready, release))
    holder.start()
    assert ready.wait(30)
    holder.kill()
    holder.join(30)
    with Workspace(tmp_path).locked():
        assert holder.exitcode == -9


@pytest.mark.skipif(
    os.geteuid() == 0, reason="root may write everywhere; tests/unit/test_collect.py gives up root for it"
)
def test_a_workspace_without_write_permission(tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(StorageError, match="cannot be written"), Workspace(tmp_path / "w").locked():
        pytest.fail("a folder was made where none may be")


def test_a_file_in_the_place_of_the_workspace(tmp_path):
    (tmp_path / "w").write_text("")
    with pytest.raises(StorageError), Workspace(tmp_path / "w" / "x").locked():
        pytest.fail("a folder was made inside a file")


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path):
    target = tmp_path / "file"
    write_atomically(target, b"old")
    with pytest.raises(ZeroDivisionError), replacing(target) as temporary:
        temporary.write_bytes(b"%d" % (1 // 0))
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_runs_started_in_the_same_second_have_folders_of_their_own(tmp_path):
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    workspace = Workspace(tmp_path)
    assert [workspace.new_run(now).name for _ in range(2)] == ["20260102-030405", "20260102-030405-1"]


def test_only_the_newest_attempt_of_a_resumed_run_counts(tmp_path):
    assert RunFolder(tmp_path).artifact("push", "card") is None
    for time, names in (
        ("2026-01-01", ("check-serving/verdict", "push/card")),
        ("2026-01-02", ("check-serving/verdict",)),
    ):
        for name in names:
            write_atomically(tmp_path / f"p-{time}" / name, time.encode())
    found = RunFolder(tmp_path).artifact("check_serving", "verdict")
    assert found is not None
    assert found.read_text() == "2026-01-02"
    assert RunFolder(tmp_path).artifact("push", "card") is None, "the card of an earlier attempt"


def test_a_verdict_is_closed_by_errors_alone(tmp_path):
    def check(severity, passed):
        return Check(rule="r", subject="s", severity=severity, passed=passed, message="m.")

    warned = Verdict(gate="data", checks=(check("warning", False), check("error", True)))
    assert warned.is_open
    assert warned.sentence() == "data gate open: 1 of 2 checks passed, 1 warnings"
    closed = Verdict(gate="data", checks=(check("error", False),))
    assert not closed.is_open
    closed.save(tmp_path / "verdict.json")
    assert Verdict.load(tmp_path / "verdict.json") == closed
    assert json.loads((tmp_path / "verdict.json").read_text())["gate"] == "data"
