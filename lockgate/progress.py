"""What a step tells while it works: one JSON line an event, read by whoever watches the run."""

import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from lockgate.records import Record

EVENTS_VARIABLE = "LOCKGATE_EVENTS"


class Event(Record):
    """Something that happened in a step.

    `seconds` is the step's duration so far; `message` is a sentence; `advice` holds what is allowed and
    the next step of an error, `exit_code` its exit code.
    """

    step: str
    state: Literal["started", "working", "done", "reused", "failed", "interrupted"]
    time: datetime
    seconds: float = 0.0
    rows: int | None = None
    message: str = ""
    advice: tuple[str, ...] = ()
    exit_code: int = 0


def emit(event: Event) -> None:
    """Prints the event and, where a run is watched, appends it to the file that `LOCKGATE_EVENTS` names."""
    if target := os.environ.get(EVENTS_VARIABLE):
        line = event.model_dump_json() + "\n"
        # A full disk must not hide the error that this event tells of; the line is printed all the same.
        with contextlib.suppress(OSError), Path(target).open("a", encoding="utf-8") as file:
            file.write(line)
    rows = f" {event.rows:,} rows" if event.rows is not None else ""
    # After Ctrl-C nobody may read the output any more; a step that is saving its work goes on all the same.
    with contextlib.suppress(BrokenPipeError):
        print(f"[{event.step}] {event.state}{rows} {event.message}".rstrip(), flush=True)


def read_events(path: Path) -> Iterator[Event]:
    """The events of a run so far; a line that is still being written is left for the next reading."""
    if path.exists():
        # Not splitlines: it also splits at characters that JSON leaves inside a text, such as U+2028.
        for line in path.read_bytes().split(b"\n")[:-1]:
            yield Event.model_validate_json(line)


def now() -> datetime:
    """The present time, UTC."""
    return datetime.now(UTC)
