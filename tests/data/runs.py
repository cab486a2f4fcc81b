"""Small data sets and the way through collect and validate, for the tests of the data half."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from lockgate.data import snapshot as snapshots
from lockgate.data.gate import checks_on_profile, checks_on_rows
from lockgate.data.profile import Profile
from lockgate.data.statistics import profile
from lockgate.data.tfdv import python_with_tfdv
from lockgate.errors import ConfigError
from lockgate.project import Project
from lockgate.records import Check, Snapshot
from lockgate.steps.collect import collect
from lockgate.steps.step import Settings
from lockgate.workspace import Workspace

START = datetime(2024, 1, 1)


def has_tfdv() -> bool:
    try:
        python_with_tfdv()
    except ConfigError:
        return False
    return True


needs_tfdv = pytest.mark.skipif(not has_tfdv(), reason="TFDV is not installed; `make` sets it up")


def rows(n: int = 3000, seed: int = 0) -> pl.DataFrame:
    """A healthy table of one year; the label depends a little on number and category."""
    rng = np.random.default_rng(seed)
    size = rng.normal(size=n)
    colour = rng.choice(["red", "green", "blue"], n, p=[0.5, 0.3, 0.2])
    chance = 1 / (1 + np.exp(-size - (colour == "red")))
    minutes = np.linspace(0, 366 * 1440 - 1, n).astype(int)
    return pl.DataFrame(
        {
            "when": [START + timedelta(minutes=int(m)) for m in minutes],
            "size": size,
            "count": rng.integers(0, 50, n),
            "colour": colour,
            "late": rng.random(n) < chance,
        }
    )


def project(source: str | Path = "rows.parquet", **more: Any) -> Project:
    """A project for `rows`; sections in `more` replace those here, `data` is filled up."""
    content: dict[str, Any] = {
        "name": "rows",
        "task": "binary",
        "data": {"source": str(source), "label": "late", "time": "when", **more.pop("data", {})},
        "split": {
            "train": ["2024-01-01", "2024-09-01"],
            "tune": ["2024-09-01", "2024-11-01"],
            "test": ["2024-11-01", "2025-01-02"],
        },
    }
    return Project.model_validate({**content, **more})


def settings(wanted: Project, code: dict[str, str] | None = None, schema_text: str = "") -> str:
    return Settings(
        project=wanted, version="test", code=code or {}, schema_text=schema_text
    ).model_dump_json()


def collected(
    folder: Path, wanted: Project, code: dict[str, str] | None = None
) -> tuple[Workspace, Snapshot]:
    """Runs the step and reads its snapshot."""
    workspace = Workspace(folder / "workspace")
    collect(settings(wanted, code), str(workspace.root), snapshot=folder / "snapshot")
    return workspace, snapshots.load(folder / "snapshot")


def collected_frame(folder: Path, frame: pl.DataFrame, **more: Any) -> tuple[Workspace, Snapshot, Project]:
    """Collects a frame that is written as the source."""
    folder.mkdir(exist_ok=True)
    source = folder / "source.parquet"
    frame.write_parquet(source)
    wanted = project(source, **more)
    return *collected(folder, wanted), wanted


def judged(folder: Path, frame: pl.DataFrame, **more: Any) -> list[Check]:
    """All checks on a frame that need no schema."""
    workspace, snapshot, wanted = collected_frame(folder, frame, **more)
    learnt = profile(workspace, snapshot, wanted)
    return [
        *checks_on_profile(learnt, None, wanted),
        *checks_on_rows(workspace, snapshot, learnt, wanted),
    ]


def profiled(folder: Path, frame: pl.DataFrame, **more: Any) -> tuple[Profile, Project]:
    workspace, snapshot, wanted = collected_frame(folder, frame, **more)
    return profile(workspace, snapshot, wanted), wanted


def failed(checks: list[Check], *rules: str) -> list[Check]:
    """The failed checks, of the named rules or of all."""
    return [c for c in checks if not c.passed and (not rules or c.rule in rules)]
