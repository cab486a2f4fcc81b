"""Frozen records that pass between steps: JSON in, JSON out, named by their digest."""

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

from lockgate.storage import write_atomically


class Record(BaseModel):
    """A frozen value with a canonical JSON form and a digest of that form."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    def digest(self) -> str:
        """The SHA-256 of the canonical JSON form, 64 hexadecimal digits."""
        return digest_of(self.model_dump(mode="json"))

    def save(self, path: Path) -> None:
        """Writes the record as JSON: whole, or not at all.

        Raises:
            StorageError: the folder cannot be written, or the disk is full.
        """
        write_atomically(path, self.text().encode())

    def text(self) -> str:
        """The record as JSON, as `save` writes it."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a record that `save` wrote."""
        return cls.model_validate_json(path.read_bytes())


def digest_of(value: object) -> str:
    """The SHA-256 of a JSON-serialisable value in canonical form (sorted keys, no spaces), in hexadecimal."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


Severity = Literal["error", "warning", "info"]
Split = Literal["train", "tune", "test", "live"]


class Check(Record):
    """One rule of a gate, applied to one subject.

    `value`, `limit` and `baseline` are numbers in the unit that the message names; `rows` is how many
    rows the value was computed from. `message` is one sentence with the numbers in it, `advice` says
    what to do next when the check failed.
    """

    rule: str
    subject: str
    severity: Severity
    passed: bool
    message: str
    value: float | None = None
    limit: float | None = None
    baseline: float | None = None
    rows: int | None = None
    advice: str = ""


class Verdict(Record):
    """What a gate decided, and every check that it decided by."""

    gate: Literal["data", "model", "serving"]
    checks: tuple[Check, ...]

    @property
    def is_open(self) -> bool:
        """A gate is open when no check of severity error failed."""
        return not self.errors

    @property
    def errors(self) -> tuple[Check, ...]:
        """The failed checks that close the gate."""
        return tuple(c for c in self.checks if not c.passed and c.severity == "error")

    @property
    def warnings(self) -> tuple[Check, ...]:
        """The failed checks that a person should look at, but that do not close the gate."""
        return tuple(c for c in self.checks if not c.passed and c.severity == "warning")

    def sentence(self) -> str:
        """The verdict in one line."""
        passed = sum(c.passed for c in self.checks)
        counts = f"{passed} of {len(self.checks)} checks passed"
        if self.is_open:
            return f"{self.gate} gate open: {counts}, {len(self.warnings)} warnings"
        return f"{self.gate} gate closed: {counts}; {self.errors[0].message}"


class Column(Record):
    """A column of the raw data: its name and its polars type, as polars prints it."""

    name: str
    dtype: str


class Partition(Record):
    """One immutable Parquet file of a snapshot.

    `path` is relative to the workspace; `content` digests the rows, not the file's bytes.
    """

    path: str
    split: Split
    rows: int
    content: str
    time_min: datetime | None = None
    time_max: datetime | None = None


class Snapshot(Record):
    """The data of one run, frozen: which partitions, which columns, where they came from.

    `content` digests schema and partitions only, so the same input gives the same value whenever,
    wherever and by whichever version it is collected.
    """

    content: str
    rows: int
    columns: tuple[Column, ...]
    partitions: tuple[Partition, ...]
    source: str
    code_version: str
    time_min: datetime | None = None
    time_max: datetime | None = None

    def rows_of(self, split: Split) -> int:
        """How many rows the split has."""
        return sum(p.rows for p in self.partitions if p.split == split)
