"""What the terminal shows while a run goes on, and when something went wrong."""

import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.measure import Measurement
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from lockgate.errors import LockgateError
from lockgate.progress import Event, read_events

WIDEST = 1000
SYMBOLS = {
    "done": ("✓", "green"),
    "reused": ("↺", "cyan"),
    "failed": ("✗", "red"),
    "interrupted": ("■", "yellow"),
}
TITLES = {
    "collect": "Collect",
    "validate": "Validate",
    "transform": "Transform",
    "tune": "Tune",
    "train": "Train",
    "evaluate": "Evaluate",
    "check_serving": "Check serving",
    "push": "Push",
}


class Progress:
    """Follows a run's events: one line a step, with its time and rows.

    On a terminal the present step's line is alive; elsewhere a line is printed when a step has ended.
    """

    def __init__(self, console: Console, events: Path, skip: int = 0) -> None:
        self._console = console
        self._events = events
        self._skip = skip
        self._shown = 0
        self._stop = threading.Event()

    @contextmanager
    def following(self) -> Iterator[None]:
        """Shows events from a thread of its own until the block ends."""
        with Live(console=self._console, refresh_per_second=8, transient=True) as live:
            thread = threading.Thread(target=self._follow, args=(live,), daemon=True)
            thread.start()
            try:
                yield
            finally:
                self._stop.set()
                thread.join()

    def _follow(self, live: Live) -> None:
        while not self._stop.wait(0.1):
            self._show(live)
        self._show(live)
        live.update(Text(""))

    def _show(self, live: Live) -> None:
        events = list(read_events(self._events))[self._skip :]
        for event in events[self._shown :]:
            if event.state in SYMBOLS:
                self._console.print(ended_line(event), highlight=False)
        self._shown = len(events)
        live.update(working_line(events[-1]) if events else Text(""))


def ended_line(event: Event) -> Table:
    """A finished step as one line."""
    symbol, colour = SYMBOLS[event.state]
    rows = f"{event.rows:,} rows" if event.rows is not None else ""
    took = "reused" if event.state == "reused" else f"{event.seconds:.1f} s"
    return _line(
        Text(f" {symbol}", style=colour), TITLES.get(event.step, event.step), took, rows, event.message
    )


def working_line(event: Event) -> RenderableType:
    """The step at work as one live line; nothing between two steps."""
    if event.state in SYMBOLS:
        return Text("")
    seconds = event.seconds + max(0.0, time.time() - event.time.timestamp())
    rows = f"{event.rows:,} rows" if event.rows is not None else ""
    title = TITLES.get(event.step, event.step)
    return _line(Spinner("dots", style="blue"), title, f"{seconds:.0f} s", rows, event.message)


def _line(symbol: RenderableType, title: str, took: str, rows: str, message: str) -> Table:
    line = Table.grid(padding=(0, 1))
    line.add_column(width=2)
    line.add_column(width=14, style="bold")
    line.add_column(width=8, justify="right")
    line.add_column(width=14, justify="right", style="dim")
    line.add_column(overflow="fold")
    line.add_row(symbol, title, took, rows, message)
    return line


def print_error(console: Console, error: LockgateError) -> None:
    """What was found, what is allowed, the next step."""
    print_failure(console, error.given, [part for part in (error.allowed, error.next_step) if part])


def print_failure(console: Console, message: str, advice: Sequence[str]) -> None:
    """A failure and the advice that goes with it."""
    console.print(Text("\n✗ ", style="red bold") + Text(message, style="bold"), highlight=False)
    for part in advice:
        console.print(Text("  " + part), highlight=False)


def print_summary(console: Console, title: str, rows: Mapping[str, str | Text]) -> None:
    """A short table of two columns; long lines are left to the terminal, so that paths can be copied."""
    console.print(Text(f"\n {title}", style="bold"), highlight=False)
    for name, value in rows.items():
        line = Text().append(f" {name:<14} ", style="dim")
        shown = value if isinstance(value, Text) else Text(value)
        indented = Text("\n" + " " * 16).join(shown.split("\n"))
        console.print(line.append_text(indented), soft_wrap=True)


def shown_path(path: Path) -> str:
    """A path as a person would type it from here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def table(rows: Sequence[Mapping[str, str | Text]], *, is_folded: bool = True) -> Table:
    """A table without lines; the first row's keys are its heads.

    Args:
        rows: cells by head.
        is_folded: whether every column may take several lines, or only those without a head.
    """
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in rows[0]:
        made.add_column(name, overflow="fold", no_wrap=bool(name) and not is_folded)
    for row in rows:
        made.add_row(*row.values())
    return made


@dataclass(frozen=True)
class Whole:
    """Something at its own width: a narrow terminal breaks its lines, and no cell is cut.

    It takes `Console.print(…, crop=False)`.
    """

    inner: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Takes the width that the inner one wants."""
        wide = options.update(max_width=WIDEST)
        wanted = Measurement.get(console, wide, self.inner).maximum
        yield from console.render(self.inner, options.update(width=max(wanted, options.max_width)))


def ago(passed: timedelta) -> str:
    """A length of time in its largest unit."""
    for unit, length in (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("min", timedelta(minutes=1))):
        if passed >= length:
            return f"{passed // length} {unit}"
    return f"{max(0, passed // timedelta(seconds=1))} s"


def terminal() -> Console:
    """The terminal as it is now, whatever standard output is redirected to later."""
    return Console(file=sys.stdout, highlight=False)
