"""The model that bench.serving serves: 17 columns, exported as every model, its weights never trained."""

import datetime as dt
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lockgate.features.fit import fit
from lockgate.project import Project
from lockgate.shipping.folder import Example, ServingSpec, folder_digest, stage
from lockgate.shipping.rows import json_values
from lockgate.training.export import export
from lockgate.training.network import build_network
from lockgate.training.spec import OUTPUTS, ModelSpec
from lockgate.workspace import Workspace
from tests.unit.training_data import make_profile, make_snapshot

NUMBERS, CATEGORIES, DATES = 10, 5, 2
PLACES = (3, 16, 60, 110, 800)
ROWS = 4_000
FEATURES = {f"category_{i}": {"embedding": 8} for i in range(2, CATEGORIES)}


def frame() -> pl.DataFrame:
    """Rows like those of a flight: measurements with gaps, categories of 3 to 800 values, two times."""
    rng = np.random.default_rng(3)
    data: dict[str, Any] = {}
    for i in range(NUMBERS):
        values = rng.normal(10 * i, 1 + i, ROWS).round(2)
        data[f"number_{i}"] = [
            None if gap else float(v) for v, gap in zip(values, rng.random(ROWS) < 0.02, strict=True)
        ]
    for i, places in enumerate(PLACES):
        data[f"category_{i}"] = [f"C{i}-{place}" for place in rng.integers(places, size=ROWS)]
    start = dt.datetime(2013, 1, 1)
    for i in range(DATES):
        data[f"date_{i}"] = [start + dt.timedelta(minutes=int(m)) for m in rng.integers(400_000, size=ROWS)]
    data["late"] = rng.random(ROWS) < 0.3
    return pl.DataFrame(data)


def write_model(models: Path) -> tuple[Path, list[dict[str, Any]]]:
    """Writes a model folder named by its digest; returns it and rows to send, as JSON values by column."""
    rows = frame()
    project = Project.model_validate(
        {
            "name": "bench",
            "task": "binary",
            "data": {"source": "x", "label": "late"},
            "features": {name: FEATURES.get(name) for name in rows.columns if name != "late"},
            "crosses": [
                {"of": ["category_0", "category_1"]},
                {"of": ["category_1", "date_0.hour"], "bins": 1000},
            ],
            "model": {"hidden": [128, 64], "batch_norm": True, "activation": "swish"},
        }
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        workspace, frames = Workspace(Path(name)), {"train": [rows]}
        spec = fit(project, workspace, make_snapshot(workspace, frames), make_profile(project, frames))
        network = build_network(project, {}, spec)
        card = ModelSpec(
            name="bench", task="binary", label="late", classes=spec.label.classes, inputs=spec.columns,
            output=OUTPUTS["binary"], snapshot="c" * 64, metric=project.metric, rows=ROWS,
            parameters=network.count_params(),
        )  # fmt: skip
        export(Path(name) / "model", spec, network, card)
        values = json_values(rows, spec.columns)
        given = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
        stage(Path(name) / "model", ServingSpec(threshold=0.4), Example(row=given[0]), models / "draft")
    named = (models / "draft").rename(models / folder_digest(models / "draft"))
    return named, given


def bodies(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One-row V1 requests that any server takes as they are: nothing missing, times as seconds since 1970."""
    known = [row for row in rows if None not in row.values()][:2000]
    return [{"instances": [{name: _plain(name, value) for name, value in row.items()}]} for row in known]


def _plain(name: str, value: Any) -> Any:
    if not name.startswith("date"):
        return value
    return int(dt.datetime.fromisoformat(value).replace(tzinfo=dt.UTC).timestamp())
