"""Small snapshots and their profiles, made by hand from frames, for the tests of features and training."""

from pathlib import Path

import numpy as np
import polars as pl

from lockgate.data.columns import category_expression, kind_of
from lockgate.data.profile import CategoryProfile, ColumnProfile, DateProfile, NumberProfile, Profile
from lockgate.data.snapshot import columns_of
from lockgate.project import Project
from lockgate.records import Partition, Snapshot
from lockgate.workspace import Workspace


def make_snapshot(workspace: Workspace, frames: dict[str, list[pl.DataFrame]]) -> Snapshot:
    partitions = []
    for split, parts in frames.items():
        for number, frame in enumerate(parts):
            path = workspace.data / f"{split}-{number}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            frame.write_parquet(path, row_group_size=16_384)
            content = f"{frame.hash_rows().sum():x}"
            partitions.append(
                Partition(
                    path=str(path.relative_to(workspace.root)),
                    split=split,
                    rows=frame.height,
                    content=content,
                )
            )
    first = next(iter(frames.values()))[0]
    return Snapshot(
        content="c" * 64,
        rows=sum(p.rows for p in partitions),
        columns=columns_of(first),
        partitions=tuple(partitions),
        source="test",
        code_version="0",
    )


def make_profile(project: Project, frames: dict[str, list[pl.DataFrame]]) -> Profile:
    splits = {}
    for split, parts in frames.items():
        frame = pl.concat(parts)
        splits[split] = {name: _column(project, frame[name]) for name in frame.columns}
    return Profile(snapshot="c" * 64, splits=splits)


def _column(project: Project, series: pl.Series) -> ColumnProfile:
    rows = len(series)
    match kind_of(project, series.name, series.dtype):
        case "number":
            x = series.cast(pl.Float64).fill_null(float("nan")).to_numpy()
            finite = x[np.isfinite(x)]
            quantiles = tuple(np.quantile(finite, np.arange(1001) / 1000)) if len(finite) else ()
            some = finite if len(finite) else np.array([np.nan])
            return NumberProfile(
                rows=rows,
                missing=int(np.isnan(x).sum()),
                infinite=int(np.isinf(x).sum()),
                zeros=int((x == 0).sum()),
                mean=some.mean(),
                std=some.std(),
                min=some.min(),
                max=some.max(),
                quantiles=quantiles,
                is_integer=bool((some == np.floor(some)).all()),
            )
        case "category":
            text = (
                series.to_frame()
                .select(category_expression(series.name, series.dtype))
                .to_series()
                .drop_nulls()
            )
            counts = text.value_counts().sort(["count", series.name], descending=[True, False])
            return CategoryProfile(
                rows=rows,
                missing=rows - len(text),
                distinct=counts.height,
                values=tuple(counts.rows()),
                mean_length=float(text.str.len_chars().mean() or 0),
            )
        case _:
            known = series.drop_nulls().cast(pl.Datetime("us"))
            return DateProfile(
                rows=rows,
                missing=series.null_count(),
                distinct=known.n_unique(),
                min=known.min(),
                max=known.max(),
            )


def workspace_of(folder: Path) -> Workspace:
    return Workspace(folder / ".lockgate")
