"""How rollouts stand, for the terminal."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from lockgate.cli.view import Whole, ago, table, terminal

if TYPE_CHECKING:
    from serving.controller.cluster.wishes import ModelRollouts, Shown

COLOURS = {"Promoted": "green", "RolledBack": "red", "Error": "red", "Holding": "yellow"}


def show(rollouts: "ModelRollouts", model: str | None) -> None:
    """Prints all rollouts of the namespace as a table, or one in full.

    Raises:
        ClusterError: the cluster does not answer, or has no such rollout.
    """
    console, now = terminal(), datetime.now(UTC)
    if model is not None:
        for part in told(rollouts.one(model), now):
            console.print(part, soft_wrap=not isinstance(part, Padding))
        return
    found = rollouts.all()
    said = overview(found, now) if found else f"No models in namespace {rollouts.namespace}."
    console.print(said, crop=False)


def overview(found: list["Shown"], now: datetime) -> RenderableType:
    """A row for each model, as kubectl shows them."""
    from lockgate.rollout.table import row

    rows = [{**row(each.model, each.status), "age": ago(now - each.created)} for each in found]
    return Whole(table([{**cells, "phase": _phase(cells["phase"])} for cells in rows], is_folded=False))


def told(shown: "Shown", now: datetime) -> Iterator[RenderableType]:
    """One rollout in full: where it stands and why, what was measured, what came before."""
    from lockgate.rollout.table import measured

    status = shown.status
    yield Text(f"{shown.model} ", style="bold").append_text(_phase(status.phase))
    yield from (_line(name, said) for name, said in _facts(shown, now))
    if status.measurements:
        yield Text("\nmeasured", style="bold")
        policy = shown.spec.policy
        yield from (_line(r.measure, measured(r, policy)) for r in status.measurements)
    if status.history:
        yield Text("\nhistory", style="bold")
        rows = [
            {
                "candidate": past.candidate[:8],
                "outcome": _phase(past.outcome),
                "reason": past.reason,
                "weight": f"{past.weight} %",
                "ended": f"{ago(now - past.ended)} ago",
                "": past.message,
            }
            for past in status.history
        ]
        yield Padding(table(rows, is_folded=False), (0, 0, 0, 2))


def _facts(shown: "Shown", now: datetime) -> Iterator[tuple[str, str]]:
    from lockgate.rollout.table import row

    status, cells = shown.status, row(shown.model, shown.status)
    yield "host", shown.spec.host
    yield "stable", cells["stable"] or "none yet"
    if cells["candidate"]:
        step = f", step {status.step_text}" if status.step_text else ""
        traffic = f": {cells['wanted']} of the traffic{step}" if cells["wanted"] else ""
        observed = f", observed {status.observed} %" if cells["observed"] else ""
        yield "candidate", f"{cells['candidate']}{traffic}{observed}"
    if status.since is not None:
        yield "since", f"{status.since:%Y-%m-%d %H:%M:%S} UTC, {ago(now - status.since)}"
    yield "because", f"{status.reason}: {status.message}" if status.reason else status.message
    if asked := _asked(shown):
        yield "asked for", asked


def _asked(shown: "Shown") -> str:
    wishes = shown.wishes
    said = [
        "a pause" if wishes.paused else "",
        "a pause, by spec.paused" if shown.spec.paused else "",
        f"promotion of {wishes.promote}" if wishes.promote else "",
        f"the end of {wishes.abort}" if wishes.abort else "",
        f"{wishes.replicas} replicas" if wishes.replicas else "",
    ]
    return ", ".join(text for text in said if text)


def _phase(name: str) -> Text:
    return Text(name, style=COLOURS.get(name, "default"))


def _line(name: str, said: str) -> Text:
    return Text(f"  {name:<10} ", style="dim").append(said, style="not dim")
