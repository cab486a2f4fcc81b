"""What a run on a cluster has come to, read from what the API says of it. Pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

ENDED = ("SUCCEEDED", "FAILED", "SKIPPED", "CANCELED")
UNSPECIFIED = "RUNTIME_STATE_UNSPECIFIED"
# A task whose pod was never started, because an earlier run's results were taken.
SKIPPED = "SKIPPED"
EXECUTOR = "executor"
DRIVER = "-driver"

Verdict = Literal["going on", "pushed", "rejected", "succeeded", "failed", "terminated"]


@dataclass(frozen=True)
class TaskState:
    """How far a task is: `seconds` since it started or from start to end, `pod` that ran it, if known.

    `error` is the backend's text, often empty. `is_cached`: an earlier run's results were taken.
    """

    name: str
    state: str
    seconds: float = 0.0
    pod: str = ""
    error: str = ""
    is_cached: bool = False


@dataclass(frozen=True)
class RunState:
    """How far a run is; `tasks` are those that the pipeline names, in its order, once they have begun."""

    run_id: str
    name: str
    state: str
    tasks: tuple[TaskState, ...] = ()
    error: str = ""
    was_terminated: bool = False

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ENDED

    @property
    def failed(self) -> TaskState | None:
        """The first task that failed."""
        return next((task for task in self.tasks if task.state == "FAILED"), None)

    def task(self, name: str) -> TaskState | None:
        """A task by its name; None where it has not begun, or the backend does not tell of it."""
        return next((task for task in self.tasks if task.name == name), None)

    def verdict(self, groups: Sequence[str]) -> Verdict:
        """How the run ended; `groups` are the tasks under a condition, which a rejected model skips.

        A run that was terminated ends as FAILED, too, but has been CANCELING before. Of a run that succeeded
        the API may tell too little of its steps to say more.
        """
        if not self.is_over:
            return "going on"
        if self.was_terminated or self.state == "CANCELED":
            return "terminated"
        if self.state != "SUCCEEDED":
            return "failed"
        gates = {task.state for task in self.tasks if task.name in (*groups, "push")}
        push = self.task("push")
        if push and push.state == "SUCCEEDED":
            return "pushed"
        return "rejected" if SKIPPED in gates else "succeeded"


def run_state(run: Any, titles: Mapping[str, str], now: datetime) -> RunState:
    """Reads a V2beta1Run.

    Args:
        run: as the API gives it; any part may be missing.
        titles: every task of the pipeline by its name, in the pipeline's order, with its display name.
        now: the present time, for tasks that go on.
    """
    details = (run.run_details.task_details if run.run_details else None) or ()
    named = _named(details, titles)
    history = [status for status in run.state_history or () if status]
    errors = [run.error, *(status.error for status in reversed(history))]
    return RunState(
        run_id=run.run_id or "",
        name=run.display_name or run.run_id or "",
        state=run.state or UNSPECIFIED,
        tasks=tuple(_task(name, named[name], now) for name in titles if name in named),
        error=_first(error.message for error in errors if error),
        was_terminated=any(status.state == "CANCELING" for status in history),
    )


def _named(details: Sequence[Any], titles: Mapping[str, str]) -> dict[str, list[Any]]:
    """The details of each task: its own first, then its driver's, then those of its pods.

    The backend tells of a task, its driver and its executor one by one. The first two have the task's name,
    the last only its parent, and some have no name at all.
    """
    tasks = {name: name for name in titles} | {title: name for name, title in titles.items()}
    by_id = {key: detail for detail in details for key in (detail.task_id, detail.pod_name) if key}
    found: dict[str, list[Any]] = {}
    for is_driver in (False, True):
        for detail in details:
            shown = detail.display_name or ""
            if shown.endswith(DRIVER) == is_driver and (name := tasks.get(shown.removesuffix(DRIVER))):
                found.setdefault(name, []).append(detail)
    for name in list(found):
        waiting = list(found[name])
        while waiting:
            for child in waiting.pop().child_tasks or ():
                detail = by_id.get(child.task_id) or by_id.get(child.pod_name)
                if detail and _is_executor(detail) and detail not in found[name]:
                    found[name].append(detail)
                    waiting.append(detail)
    return found


def _is_executor(detail: Any) -> bool:
    return not detail.display_name or detail.display_name.startswith(EXECUTOR)


def _task(name: str, details: Sequence[Any], now: datetime) -> TaskState:
    own = details[0]
    is_driver = (own.display_name or "").endswith(DRIVER)
    state = own.state or UNSPECIFIED
    if is_driver and state == "SUCCEEDED":  # the driver is done, the task itself has not begun
        state = "RUNNING"
    failed = [detail for detail in details if detail.state == "FAILED"]
    if failed and is_driver:
        state = "FAILED"
    starts = [detail.start_time or detail.create_time for detail in details]
    start = min((_aware(time) for time in starts if time), default=None)
    end = _aware(own.end_time) if own.end_time and state in ENDED else now
    executors = [detail for detail in details if _is_executor(detail)]
    blamed = [detail for detail in executors if detail in failed] or executors or failed
    return TaskState(
        name=name,
        state=state,
        seconds=max(0.0, (end - start).total_seconds()) if start else 0.0,
        pod=_first(_pod(detail) for detail in reversed(blamed)),
        error=_first(detail.error.message for detail in [*reversed(failed), own] if detail.error),
        is_cached=state == "SUCCEEDED" and any(detail.state == SKIPPED for detail in executors),
    )


def _pod(detail: Any) -> str:
    return detail.pod_name or _first(child.pod_name for child in detail.child_tasks or ())


def _first(texts: Any) -> str:
    return next((text for text in texts if text), "")


def _aware(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)
