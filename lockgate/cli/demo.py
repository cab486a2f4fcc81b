"""`lockgate rollout demo`: a rollout on this machine, from two models to a verdict."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, get_args

import typer
from rich.console import Console

from lockgate.cli.place import Place
from lockgate.cli.rollout_live import Live, summary
from lockgate.cli.run import REUSABLE, complete, end_as_by_ctrl_c, write_what_there_is
from lockgate.cli.summary import pushed_card
from lockgate.cli.view import print_failure, print_summary, shown_path, terminal
from lockgate.errors import ConfigError
from lockgate.project import Project, TimeSplit
from lockgate.rollout.record import RolloutRecord
from lockgate.workspace import Workspace, link_tree

if TYPE_CHECKING:
    from serving.laptop.spoil import Fault

# The later model's workspace, within the project's.
LATER = "later"
ANYWAY = "Add --bad errors to see a bad copy of the champion instead."


def rollout_demo(project: Path, workspace: str | None, bad: str | None, rate: float) -> int:
    """Rolls a candidate out beside the champion under real requests; returns the exit code.

    The candidate is the same model retrained with later months or, with `bad`, a spoiled copy of the
    champion.

    Raises:
        ConfigError: the project has no later months, or no such fault.
        ServingError: nothing was pushed, or a model does not serve.
    """
    from lockgate.shipping.serve import model_folder
    from serving.laptop.demo import demonstrate

    console = terminal()
    fault = None if bad is None else fault_of(bad)
    place = Place.find(project, workspace)
    run = place.last_run()
    if fault is None and pushed_card(run) is None:
        why = [f"Its report says why: {shown_path(run.report)}", ANYWAY]
        print_failure(console, "The last run pushed no model, so there is no rollout.", why)
        return 0
    stable = model_folder(place.workspace, None)
    end_as_by_ctrl_c()
    with ExitStack() as stack:
        if fault is None:
            again = f"lockgate rollout demo {project}" + (f" --workspace {workspace}" if workspace else "")
            candidate = retrained(console, place, stable, again)
            if candidate is None:
                return 0
        else:
            candidate = stack.enter_context(spoiled(place, stable, fault))
        what = "retrained with later months" if fault is None else f"spoiled on purpose: {fault}"
        said = f"{stable.name[:8]} is stable, {candidate.name[:8]} the candidate, {what}"
        console.print(f"\n [bold]Rollout[/bold]  {said}\n")
        live = stack.enter_context(Live(console))
        record = demonstrate(place.project, place.workspace, run, stable, candidate, rate, live.show)
    record.save(run.rollout)
    write_what_there_is(console, place, run)
    print_summary(console, *summary(record, shown_path(run.report)))
    return 0 if is_as_it_should(record, bad) else 1


def is_as_it_should(record: RolloutRecord, bad: str | None) -> bool:
    """Whether the rollout ended as a candidate of this kind deserves, and no request was lost on the way."""
    if bad is None:
        return record.outcome == "Promoted" and not record.failed
    return record.outcome == "RolledBack" and not record.failed_stable


def retrained(console: Console, place: Place, stable: Path, again: str) -> Path | None:
    """The folder of the same model, retrained with later months and judged beside the stable one.

    It has a workspace of its own, so that the project's champion stays who it is. What has not changed since
    it was last trained is taken from there.

    Args:
        console: shows the run.
        place: the project and its workspace.
        stable: the champion's folder.
        again: the command that goes on after Ctrl-C.

    Returns:
        None where there is nothing to roll out: a gate is closed, or the retrained model is the stable one.

    Raises:
        ConfigError: the project is not split by time.
    """
    from lockgate.run_folder import RunFolder

    workspace = Workspace(place.workspace.root / LATER)
    own = replace(place, project=later(place.project), workspace=workspace)
    with workspace.locked():
        if not (workspace.models / stable.name).is_dir():
            link_tree(stable, workspace.models / stable.name)
        workspace.crown(stable.name)
        run = RunFolder(workspace.new_run())
        console.print("\n [bold]The candidate[/bold]  the same model, retrained with later months\n")
        reusable = [step for step in REUSABLE if step != "evaluate"]  # its champion may be another one now
        if code := complete(console, own, run, reusable, again):
            raise typer.Exit(code)
    card = pushed_card(run)
    if card is None:
        why = "The retrained model was rejected, so there is no rollout."
        print_failure(console, why, [f"Its report says why: {shown_path(run.report)}", ANYWAY])
        return None
    if card.content == stable.name:
        print_failure(console, "The retrained model is the stable one, so there is no rollout.", [ANYWAY])
        return None
    folder: Path = workspace.models / card.content
    return folder


def fault_of(bad: str) -> "Fault":
    """The fault of that name.

    Raises:
        ConfigError: there is no such fault.
    """
    from serving.laptop.spoil import Fault

    # Without a limit on a process's memory, one that leaks takes the whole machine's.
    faults: list[Fault] = [fault for fault in get_args(Fault) if fault != "memory"]
    fault = next((known for known in faults if known == bad), None)
    if fault is None:
        raise ConfigError(
            f"--bad is {bad!r}.", f"A candidate can be bad by {', '.join(faults)}.", "Choose one of them."
        )
    return fault


@contextmanager
def spoiled(place: Place, stable: Path, fault: "Fault") -> Iterator[Path]:
    """The folder of a bad copy of the stable model, which is there while the context lasts."""
    from serving.laptop.spoil import spoil
    from serving.runtime.__main__ import quiet

    with TemporaryDirectory(prefix=".spoiled-", dir=place.workspace.root) as folder:
        with quiet():
            copy: Path = spoil(stable, Path(folder), fault)
        yield copy


def later(project: Project) -> Project:
    """The project with a training split that goes on where the first one ended.

    What was tune is learnt from, too; the first third of what was test becomes tune, the rest stays test.

    Raises:
        ConfigError: the project is not split by time.
    """
    split = project.split
    if not isinstance(split, TimeSplit):
        raise ConfigError(
            "The project has no later months to learn from.",
            "The demo retrains a model of a project that is split by time.",
            ANYWAY,
        )
    begin, end = split.test
    middle = begin + timedelta(days=max(1, (end - begin).days // 3))
    spans = {"train": (split.train[0], split.tune[1]), "tune": (begin, middle), "test": (middle, end)}
    return project.model_copy(update={"split": TimeSplit.model_validate(split.model_dump() | spans)})
