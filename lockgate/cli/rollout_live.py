"""A rollout on this machine while it goes on: one live view on a terminal, a line an event elsewhere."""

import math
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live as RichLive
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lockgate.cli.rollout_view import COLOURS
from lockgate.rollout.readings import Reading, odds
from lockgate.rollout.record import Happening, Moment, RolloutRecord

if TYPE_CHECKING:
    from serving.controller.loop import Looked

BAR = 10
# With more evidence nobody counts its digits.
MOST = math.log(1e6)
NAMES = {
    "errors": "failed requests",
    "latency": "slow requests",
    "scores": "shift of scores",
    "agreement": "other decisions",
    "labels": "loss on labels",
    "split": "split",
}


class Live:
    """Shows each look; a context manager. Where the console is no terminal, events are printed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = RichLive(console=console, auto_refresh=False, transient=False)
        self._told = 0

    def __enter__(self) -> Self:
        """Begins to show."""
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaves the last look on the screen."""
        self._live.stop()

    def show(self, looked: "Looked", record: RolloutRecord) -> None:  # noqa: ARG002 - the record has all of it
        """Shows a look."""
        if self._console.is_terminal:
            self._live.update(view(record), refresh=True)
        for happening in record.happenings[self._told :]:
            if not self._console.is_terminal:
                self._console.print(_line(happening), soft_wrap=True)
        self._told = len(record.happenings)


def view(record: RolloutRecord) -> RenderableType:
    """The rollout until now, on one screen."""
    now = record.moments[-1]
    return Group(
        _head(record, now),
        Text(""),
        _steps(record, now),
        _traffic(record, now),
        Text(""),
        Padding(_measures(record, now), (0, 0, 0, 1)),
        Text(""),
        Padding(Text(now.message, style="bold"), (0, 0, 1, 1)),
        _events(record.happenings[-4:]),
    )


def summary(record: RolloutRecord, report: str) -> tuple[str, Mapping[str, str | Text]]:
    """A title and the rows of the short table at the end."""
    colour = COLOURS.get(record.outcome, "default")
    verb = "promoted" if record.outcome == "Promoted" else "rolled back"
    rows: dict[str, str | Text] = {
        "verdict": Text(f"{verb}: {record.reason}", style=colour),
        "because": record.message,
        "requests": f"{record.sent:,} sent, {record.failed:,} failed, "
        f"{record.failed_stable:,} of them at the stable model",
        "seconds": f"{record.moments[-1].seconds:.0f}",
        "report": report,
    }
    return f"Rollout of {record.candidate}", rows


def _head(record: RolloutRecord, now: Moment) -> Text:
    line = Text(f" {record.stable} → {record.candidate}   ", style="bold")
    line.append(now.phase, style=f"bold {COLOURS.get(now.phase, 'cyan')}")
    line.append(f" {now.step}   {now.seconds:.0f} s", style="not bold dim")
    return line


def _steps(record: RolloutRecord, now: Moment) -> Text:
    """The steps as dots: done, present, to come."""
    line = Text(" ")
    reached = max((m.weight for m in record.moments), default=0)
    for weight in record.weights:
        is_here = weight == now.weight and now.phase not in ("Promoted", "RolledBack")
        symbol, style = (
            ("◉", "bold cyan") if is_here else ("●", "green") if weight <= reached else ("○", "dim")
        )
        if now.phase == "RolledBack" and weight <= reached:
            style = "red"
        line.append(f"{symbol} {weight} %", style=style)
        line.append("  ─  " if weight != record.weights[-1] else "", style="dim")
    return line


def _traffic(record: RolloutRecord, now: Moment) -> Text:
    line = Text(f" wanted {now.weight} %", style="dim")
    if now.observed is not None:
        line.append("   observed {:.1f} % ({:.1f} to {:.1f})".format(*now.observed))
    counts = ", ".join(f"{name.rsplit('-', 1)[-1]} {count:,}" for name, count in now.requests.items())
    line.append(f"\n {_rate(record):.0f} requests/s   answered by {counts}" if counts else "\n")
    line.append("   failed ")
    line.append(f"{record.failed:,}", style="red" if record.failed else "green")
    return line


def _rate(record: RolloutRecord) -> float:
    """Answers a second between the last two looks."""
    if len(record.moments) < 2:
        return 0.0
    before, now = record.moments[-2:]
    answered = sum(now.requests.values()) - sum(before.requests.values())
    return answered / max(now.seconds - before.seconds, 1e-3)


def _measures(record: RolloutRecord, now: Moment) -> Table:
    """A row a measure: both revisions' shares, the evidence against the candidate, and that for it."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    against, needed = -math.log(record.alpha), -math.log(1 - record.power)
    for name, justify in (("measure", "left"), ("stable", "right"), ("candidate", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    table.add_column(f"bad, of {1 / record.alpha:,.0f} to 1")
    table.add_column(f"safe, of {odds(needed)} to 1")
    for reading in record.readings:
        table.add_row(
            NAMES.get(reading.measure, reading.measure),
            _share(reading.stable) if reading.measure in ("errors", "latency") else "",
            _shown(reading),
            _bar(now.against.get(reading.measure, reading.against), against, "red"),
            _bar(reading.for_it, needed, "green") if reading.for_it is not None else Text("", style="dim"),
        )
    if now.against:
        table.add_row("all together", "", "", _bar(now.total, against, "red"), "", style="bold")
    return table


def _shown(reading: Reading) -> str:
    """The candidate's value: a share, or a difference with its sign."""
    if reading.candidate is None:
        return ""
    match reading.measure:
        case "scores":
            return f"{reading.candidate:+.2%}"
        case "labels":
            return f"{reading.candidate:+.4f}"
        case _:
            return _share(reading.candidate)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"


def _bar(log: float, limit: float, colour: str) -> Text:
    """An e-value on its way to its limit, both as logarithms; what lies below 1 is an empty bar."""
    filled = round(BAR * min(1.0, max(0.0, log / limit)))
    line = Text("█" * filled, style=colour)
    said = odds(log) if log <= MOST else ">999,999"
    return line.append("░" * (BAR - filled), style="dim").append(f" {said}", style="default")


def _events(happenings: Sequence[Happening]) -> Table:
    """Events below each other, each sentence folded in its own column."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for happening in happenings:
        style = "yellow" if happening.kind == "Warning" else "dim"
        table.add_row(f" {happening.seconds:.1f} s", happening.reason, happening.sentence, style=style)
    return table


def _line(happening: Happening) -> Text:
    style = "yellow" if happening.kind == "Warning" else "dim"
    return Text(f" {happening.seconds:5.1f} s  {happening.reason}: {happening.sentence}", style=style)
