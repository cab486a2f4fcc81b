"""`lockgate submit`, and following or stopping a run that was submitted before."""

import contextlib
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from lockgate.cli.view import ended_line, print_failure, print_summary, terminal
from lockgate.config import read_project
from lockgate.errors import StorageError
from lockgate.progress import Event
from lockgate.project import Project
from lockgate.workspace import Workspace

if TYPE_CHECKING:
    from pipelines.documents import Compiled
    from pipelines.endpoint import Endpoint
    from pipelines.run_state import RunState, TaskState
    from pipelines.submission import Pace

INTERRUPTED = 130
RUN_FAILED = 11
LOOK_SECONDS = 10.0
STATES: Mapping[str, str] = {"SUCCEEDED": "done", "FAILED": "failed", "CANCELED": "interrupted"}


def submit_run(
    project: Path, endpoint: str | None, workspace: str | None, wait: bool, cache: bool = True
) -> int:
    """Submits a run and follows it; returns the exit code (0 also for a model that was rejected).

    Raises:
        LockgateError: the run could not be submitted.
    """
    from pipelines.documents import training
    from pipelines.submission import cluster_workspace, submit

    console = terminal()
    found, folder = read_project(project), project if project.is_dir() else project.parent
    place = cluster_workspace(found, workspace)
    api = connected(found, endpoint)
    pipeline = training(found.cluster.images)
    before = champion_of(place)
    sent = pipeline if cache else pipeline.uncached()
    run_id = submit(api, found, folder.resolve(), place, sent)
    console.print(f"\n [bold]{found.name}[/bold]  run {run_id}", highlight=False)
    console.print(f" {api.url}/#/runs/details/{run_id}\n", highlight=False, soft_wrap=True, markup=False)
    again = Again(run_id, project, endpoint)
    if not wait:
        console.print(f" Follow it with `{again.follow}`.", highlight=False, soft_wrap=True, markup=False)
        return 0
    return watched(console, api, again, pipeline, place, before)


def follow_run(run_id: str, project: Path, endpoint: str | None) -> int:
    """Follows a run to its end; returns the exit code.

    Raises:
        LockgateError: the run is not known, or the API does not answer.
    """
    from pipelines.documents import training

    api = connected(read_project(project), endpoint)
    return watched(terminal(), api, Again(run_id, project, endpoint), training())


def stop_run(run_id: str, project: Path, endpoint: str | None) -> None:
    """Ends a run before its time.

    Raises:
        LockgateError: the run is not known, or is over.
    """
    from pipelines.submission import stop

    stop(connected(read_project(project), endpoint), run_id)
    print(f"Run {run_id} is being stopped; it will show as failed.")


def connected(project: Project, endpoint: str | None) -> "Endpoint":
    """The API that the option, KFP_ENDPOINT or project.yaml names.

    Raises:
        ClusterError: none is named, or it does not answer.
    """
    from pipelines.endpoint import Endpoint, address

    return Endpoint(address(endpoint, project.cluster.endpoint), project.cluster.namespace).connect()


class Again:
    """How a person goes on with a run later."""

    def __init__(self, run_id: str, project: Path, endpoint: str | None) -> None:
        self.run_id = run_id
        given = f"{run_id} {project}" + (f" --endpoint {endpoint}" if endpoint else "")
        self.follow = f"lockgate pipeline follow {given}"
        self.stop = f"lockgate pipeline stop {given}"


def watched(
    console: Console,
    api: "Endpoint",
    again: Again,
    pipeline: "Compiled",
    workspace: Workspace | None = None,
    champion: str | None = None,
    pace: "Pace | None" = None,
) -> int:
    """Shows a line a step until the run is over, then its verdict; returns the exit code.

    Ctrl-C ends the watching, not the run.

    Raises:
        LockgateError: the API does not answer any more.
    """
    from pipelines.submission import Pace, follow

    shown: set[str] = set()
    state: RunState | None = None
    try:
        with console.status("waiting for the first step") as status:
            for state in follow(api, again.run_id, pipeline, pace or Pace()):
                steps = [task for task in state.tasks if task.name not in pipeline.groups()]
                for task in steps:
                    if task.state in STATES and task.name not in shown:
                        shown.add(task.name)
                        console.print(ended_line(_event(task)), highlight=False)
                status.update(_working(steps, pipeline.titles()))
    except KeyboardInterrupt:
        advice = [f"Follow it again with `{again.follow}`.", f"End it with `{again.stop}`."]
        print_failure(console, "Stopped watching; the run goes on.", advice)
        return INTERRUPTED
    assert state is not None
    return _conclude(console, state, pipeline, workspace, champion)


def _event(task: "TaskState") -> Event:
    state = "reused" if task.is_cached else STATES[task.state]
    step = task.name.replace("-", "_")
    return Event.model_validate(
        {"step": step, "state": state, "time": datetime.now(UTC), "seconds": task.seconds}
    )


def _working(tasks: Sequence["TaskState"], titles: Mapping[str, str]) -> str:
    running = [task for task in tasks if task.state in ("RUNNING", "PENDING")]
    return ", ".join(f"{titles[task.name]} {task.seconds:.0f} s" for task in running) or "between two steps"


def _conclude(
    console: Console,
    state: "RunState",
    pipeline: "Compiled",
    workspace: Workspace | None,
    before: str | None,
) -> int:
    match state.verdict(pipeline.groups()):
        case "pushed":
            print_summary(console, pushed(workspace, before), {"run": state.name})
            return 0
        case "rejected":
            page = {
                "run": state.name,
                "why": "the page of the step Evaluate says which rule, with its numbers",
            }
            print_summary(console, "Not pushed: the model was rejected", page)
            return 0
        case "succeeded":
            told = "The run succeeded; the API does not tell which of its steps ran"
            print_summary(console, pushed(workspace, before, otherwise=told), {"run": state.name})
            return 0
        case "terminated":
            print_failure(console, "The run was stopped before its end.", [])
        case _:
            failed = state.failed
            where = pipeline.titles()[failed.name] if failed else "No step"
            reason = (failed.error if failed else "") or state.error
            given = f"{where} failed: {reason}" if failed and reason else f"{where} failed."
            if not failed:
                given = f"The run failed: {reason}" if reason else "The run failed before any step did."
            print_failure(console, given, _where_to_look(failed, state.run_id))
    return RUN_FAILED


def _where_to_look(failed: "TaskState | None", run_id: str) -> list[str]:
    """The backend often gives no reason: the last lines of the step's own log do."""
    if failed is None:
        return ["The run's page in the dashboard shows what came first."]
    pod = failed.pod or f"-l pipeline/runid={run_id} --prefix"
    return [
        "The last lines of its log say what was found, what is allowed and what to do next:",
        f"kubectl logs {pod} -c main, in the namespace of the run",
    ]


def pushed(workspace: Workspace | None, before: str | None, otherwise: str | None = None) -> str:
    """What a push step that ended well has done, by the champion before and after it.

    It ends well, too, when the serving gate is closed, and the API does not tell what a step returned.
    `otherwise` is said where the champion is none other than before.
    """
    after = champion_of(workspace)
    if after is not None and after != before:
        return f"Pushed {after[:8]}"
    if otherwise or after is None:
        return otherwise or "The push step ended; the serving gate's page says whether it pushed"
    return f"{after[:8]} is still the champion: pushed again, or the serving gate was closed"


def champion_of(workspace: Workspace | None, seconds: float = LOOK_SECONDS) -> str | None:
    """The champion of a workspace; None also where it cannot be read from here, or not in that time."""
    found: list[str | None] = []

    def look() -> None:
        with contextlib.suppress(StorageError):
            found.append(workspace.champion() if workspace else None)

    looking = threading.Thread(target=look, daemon=True)  # a bucket that does not answer is tried for minutes
    looking.start()
    looking.join(seconds)
    return found[0] if found else None
