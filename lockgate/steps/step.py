"""What all steps have in common: settings, reuse of earlier results, progress, errors."""

import functools
import hashlib
import inspect
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lockgate.errors import LockgateError
from lockgate.ports import Ports
from lockgate.process import collect_rarely
from lockgate.progress import Event, emit, now
from lockgate.project import Project
from lockgate.project.cluster import TrainingPods
from lockgate.records import Record, digest_of
from lockgate.storage import explained
from lockgate.workspace import Workspace, link_tree

REUSE_VARIABLE = "LOCKGATE_REUSE"


class Settings(Record):
    """All that a step is told besides its artifacts; a pipeline hands it over as one JSON text.

    `code` is the user's Python file by name, `schema_text` the reviewed schema, `source_version` changes
    when the source's files change, `version` is that of Lockgate.
    """

    project: Project
    version: str
    code: Mapping[str, str] = {}
    schema_text: str = ""
    source_version: str = ""


class Outcome(Record):
    """How a step ended: rows it went through, a sentence, and whether the way ahead is open."""

    message: str
    rows: int | None = None
    is_open: bool = True


@dataclass
class Run:
    """What a step's function is given: its settings, the workspace and its identity.

    `key` names the work: the same key means the same settings, inputs and code, so results and
    checkpoints under it can be taken up again.
    """

    step: str
    settings: Settings
    workspace: Workspace
    key: str
    ports: Ports = field(default_factory=Ports)
    started: float = field(default_factory=time.monotonic)

    @property
    def project(self) -> Project:
        """The sections of project.yaml that this step reads; the others are at their defaults."""
        return self.settings.project

    def tell(self, message: str, rows: int | None = None) -> None:
        """Reports progress in mid-step."""
        self.emit("working", message=message, rows=rows)

    def emit(self, state: Any, **more: Any) -> None:
        """Reports an event of this step."""
        emit(Event(step=self.step, state=state, time=now(), seconds=time.monotonic() - self.started, **more))


def step(function: Callable[..., Outcome]) -> Callable[..., bool]:
    """Makes a pipeline step of `function(run, input: Path, …, *, output: Path, …) -> Outcome`.

    The step is called with `settings` (JSON text), `workspace` (a folder, or gs://…) and, on a cluster, its
    `ports` in place of `run`, and with its paths as text; it returns whether the way ahead is open.
    Positional paths are inputs, keyword-only paths are outputs. Where `LOCKGATE_REUSE` names the step and
    an earlier run had the same settings, inputs and code, the results of that run are taken instead of
    running again.
    """
    name = function.__name__
    parameters = inspect.signature(function).parameters.values()
    inputs = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "run"]
    outputs = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]

    @functools.wraps(function)
    def called(settings: str, workspace: str, ports: Ports = Ports(), **paths: str | Path) -> bool:  # noqa: B008
        collect_rarely()
        given = {n: Path(paths[n]) for n in inputs}
        written = {n: Path(paths[n]) for n in outputs}
        with _failure_told(name):
            run = _run(name, Settings.model_validate_json(settings), Workspace(workspace), given, ports)
            outcome = _reused(run, written)
            if outcome is not None:
                run.emit("reused", message=outcome.message, rows=outcome.rows)
                return outcome.is_open
            run.emit("started")
            with explained(run.workspace.root):
                for path in written.values():
                    path.parent.mkdir(parents=True, exist_ok=True)
                outcome = function(run, **given, **written)
                _keep(run, written, outcome)
        run.emit("done", message=outcome.message, rows=outcome.rows)
        return outcome.is_open

    return called


@contextmanager
def _failure_told(step: str) -> Iterator[None]:
    """Reports why a step ended early; also one whose workspace could not be reached in the first place."""
    started = time.monotonic()

    def tell(state: Any, message: str, exit_code: int, advice: tuple[str, ...] = ()) -> None:
        seconds = time.monotonic() - started
        event = Event(
            step=step, state=state, time=now(), seconds=seconds,
            message=message, advice=advice, exit_code=exit_code,
        )  # fmt: skip
        emit(event)

    try:
        yield
    except LockgateError as error:
        advice = tuple(part for part in (error.allowed, error.next_step) if part)
        tell("failed", error.given, error.exit_code, advice)
        raise
    except KeyboardInterrupt:
        tell("interrupted", "stopped on request", 130)
        raise
    except Exception as error:
        fault = ("This is a fault in Lockgate or in a library; the run's log has the traceback.",)
        tell("failed", f"{type(error).__name__}: {error}", 70, fault)
        raise


def _run(
    name: str, settings: Settings, workspace: Workspace, inputs: Mapping[str, Path], ports: Ports
) -> Run:
    identity = {
        "step": name,
        "settings": _without_pods(settings).digest(),
        "inputs": {n: content_digest(p) for n, p in inputs.items()},
        "champion": workspace.champion() if name == "evaluate" else None,
    }
    return Run(step=name, settings=settings, workspace=workspace, key=digest_of(identity)[:16], ports=ports)


def _without_pods(settings: Settings) -> Settings:
    """What a training's pods are given changes nothing of what it learns: with more memory it goes on."""
    project = settings.project
    cluster = project.cluster.model_copy(update={"training": TrainingPods()})
    return settings.model_copy(update={"project": project.model_copy(update={"cluster": cluster})})


def _reused(run: Run, outputs: Mapping[str, Path]) -> Outcome | None:
    kept = run.workspace.kept(run.step, run.key)
    if run.step not in os.environ.get(REUSE_VARIABLE, "").split(",") or not kept.exists():
        return None
    for name, path in outputs.items():
        if (kept / name).exists():
            link_tree(kept / name, path)
    return Outcome.load(kept / "outcome.json")


def _keep(run: Run, outputs: Mapping[str, Path], outcome: Outcome) -> None:
    if run.workspace.is_remote and REUSE_VARIABLE not in os.environ:
        return  # A pod: its pipeline keeps results, and its disk goes with it.
    record = run.workspace.root / "results" / f".{run.step}-{run.key}.json"
    outcome.save(record)
    # A step that refuses, such as push behind a closed gate, writes no output.
    made = {name: path for name, path in outputs.items() if path.exists()}
    run.workspace.keep(run.step, run.key, {**made, "outcome.json": record})
    record.unlink()


def content_digest(path: Path) -> str:
    """The SHA-256 of a file, or of a folder's files with their relative names, in hexadecimal."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    total = hashlib.sha256()
    for file in files:
        with file.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
        name = file.relative_to(path).as_posix() if path.is_dir() else ""
        total.update(f"{name}\0{content}\n".encode())
    return total.hexdigest()
