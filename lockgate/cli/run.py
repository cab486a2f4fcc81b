"""`lockgate run`."""

import contextlib
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
from rich.console import Console

from lockgate.cli.place import Place
from lockgate.cli.summary import summary
from lockgate.cli.view import Progress, print_failure, print_summary, shown_path, terminal
from lockgate.errors import ConfigError, LockgateError
from lockgate.progress import Event, read_events
from lockgate.run_folder import STEPS, RunFolder

INTERRUPTED = 130
TELL_AFTER_SECONDS = 15
GRACE_SECONDS = 60
# What was measured on this machine, and what has an effect, is done again.
REUSABLE = tuple(step for step in STEPS if step not in ("check_serving", "push"))


def run_pipeline(project: Path, workspace: str | None, from_step: str | None, resume: bool) -> int:
    """Runs the pipeline and shows it; returns the exit code (0 also for a model that was rejected).

    Raises:
        LockgateError: the run could not start.
    """
    console = terminal()
    if resume and from_step:
        raise ConfigError(
            "--resume and --from were given together.",
            "--resume goes on with the last run; --from starts a new one.",
            "Choose one of them.",
        )
    place = Place.find(project, workspace)
    again = f"lockgate run {project}" + (f" --workspace {workspace}" if workspace else "")
    with place.workspace.locked():
        run = place.last_run() if resume else RunFolder(place.workspace.new_run())
        reuse = REUSABLE if resume else STEPS[: STEPS.index(from_step)] if from_step else ()
        console.print(f"\n [bold]{place.project.name}[/bold]  run {run.path.name}\n", highlight=False)
        if code := complete(console, place, run, reuse, f"{again} --resume"):
            return code
    print_summary(console, *summary(place, run))
    return 0


def complete(console: Console, place: Place, run: RunFolder, reuse: Sequence[str], again: str) -> int:
    """Runs all steps in a run's folder and writes its report; returns the exit code.

    Args:
        console: shows a line a step, and what went wrong.
        place: the project and its workspace, which is held.
        run: the folder to run in.
        reuse: steps whose earlier results may be taken.
        again: the command that goes on after Ctrl-C.
    """
    from pipelines.runners import pipeline_arguments, run_locally

    arguments = pipeline_arguments(place.project, place.folder, place.workspace)
    earlier = len(list(read_events(run.events)))
    try:
        with Progress(console, run.events, skip=earlier).following(), _children_ended():
            run_locally(arguments, run, reuse)
    except KeyboardInterrupt:
        print_failure(console, "Stopped on request.", [f"Go on with `{again}`."])
        return INTERRUPTED
    except RuntimeError as error:
        return _explain(console, run, error, list(read_events(run.events))[earlier:])
    finally:
        write_what_there_is(console, place, run)
    return 0


def end_as_by_ctrl_c() -> None:
    """Lets SIGTERM and a closed terminal end this process as Ctrl-C does: it cleans up first."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


@contextlib.contextmanager
def _children_ended() -> Iterator[None]:
    """On Ctrl-C, lets the steps' processes save what they have before this one ends.

    A terminal tells them, too; those that go on were not told, because this process alone was.
    """
    end_as_by_ctrl_c()
    try:
        yield
    except KeyboardInterrupt:
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        _, alive = psutil.wait_procs(psutil.Process().children(recursive=True), timeout=TELL_AFTER_SECONDS)
        for child in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.send_signal(signal.SIGINT)
        _, alive = psutil.wait_procs(alive, timeout=GRACE_SECONDS)
        for child in alive:
            child.kill()
        signal.signal(signal.SIGINT, handler)
        raise


def _explain(console: Console, run: RunFolder, error: RuntimeError, events: list[Event]) -> int:
    failed = [event for event in events if event.state == "failed"]
    if not failed:
        print_failure(console, f"A step ended without a word: {error}.", [f"Its output is in {run.log}."])
        return 70
    last = failed[-1]
    print_failure(console, last.message, last.advice)
    print_summary(console, "What there is", {"report": shown_path(run.report), "log": shown_path(run.log)})
    return last.exit_code


def write_what_there_is(console: Console, place: Place, run: RunFolder) -> None:
    """Writes the report; how the run ended counts more than a report that cannot be written."""
    from lockgate.report.whole import write_report

    try:
        write_report(place.project, run, place.workspace)
    except (LockgateError, ValueError) as error:
        print_failure(console, f"The report could not be written: {error}", ["Try `lockgate report`."])
