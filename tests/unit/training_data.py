"""Small snapshots and their profiles, made by hand from frames, for the tests of features and training."""

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from lockgate.data.columns import category_expression, kind_of
from lockgate.data.profile import CategoryProfile, ColumnProfile, DateProfile, NumberProfile, Profile
from lockgate.data.snapshot import columns_of
from lockgate.features.layout import file_columns
from lockgate.features.raw import RawColumn
from lockgate.features.spec import CategoryInput, CategorySpec, LabelSpec, NumberSpec, TransformSpec
from lockgate.project import Project
from lockgate.records import Partition, Snapshot
from lockgate.training.input import Rows
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


def tiny_spec(task: str = "binary") -> TransformSpec:
    """Two numbers and a category, as the transform would lay them out."""
    labels = {
        "binary": LabelSpec(name="y", task="binary", classes=("false", "true"), shares=(0.5, 0.5)),
        "multiclass": LabelSpec(name="y", task="multiclass", classes=("a", "b", "c"), shares=(1 / 3,) * 3),
        "regression": LabelSpec(name="y", task="regression", mean=100.0, std=5.0),
    }
    return TransformSpec(
        columns=(
            RawColumn(name="x", kind="number", tensor="x"),
            RawColumn(name="z", kind="number", tensor="z"),
            RawColumn(name="c", kind="category", tensor="c"),
        ),
        features=(
            NumberSpec(name="x", fill=0.0, mean=0.0, std=1.0),
            NumberSpec(name="z", fill=0.0, mean=0.0, std=1.0),
            CategorySpec(name="c", vocabulary=("a", "b", "d"), embedding=2),
        ),
        label=labels[task],
        numbers=("x", "z"),
        categories=(CategoryInput(name="c", input="c", places=5, embedding=2),),
    )


def tiny_rows(count: int, seed: int, task: str = "binary") -> Rows:
    """Rows of `tiny_spec` whose label follows from the features, with noise."""
    rng = np.random.default_rng(seed)
    numbers = rng.standard_normal((count, 2)).astype(np.float32)
    categories = rng.integers(2, 5, (count, 1)).astype(np.int32)
    signal = numbers[:, 0] - numbers[:, 1] + 0.8 * (categories[:, 0] - 3) + 0.5 * rng.standard_normal(count)
    label = {
        "binary": (signal > 0).astype(np.float32),
        "multiclass": np.digitize(signal, [-0.7, 0.7]).astype(np.int32),
        "regression": (100 + 5 * signal / signal.std()).astype(np.float32),
    }[task]
    return Rows(numbers, categories, label)


def write_features(
    folder: Path, sizes: dict[str, int], task: str = "binary", group: int = 64
) -> TransformSpec:
    """Writes spec.json and the splits of `tiny_rows` as the transform does, in small row groups."""
    spec = tiny_spec(task)
    for seed, (split, count) in enumerate(sizes.items()):
        rows = tiny_rows(count, seed, task)
        arrays = [*rows.numbers.T.copy(), rows.categories[:, 0], rows.label]
        fields = [
            pa.field(name, pa.from_numpy_dtype(array.dtype), nullable=False)
            for name, array in zip(file_columns(spec), arrays, strict=True)
        ]
        table = pa.Table.from_arrays([pa.array(a) for a in arrays], schema=pa.schema(fields))
        (folder / split).mkdir(parents=True)
        pq.write_table(table, folder / split / "00000.parquet", row_group_size=group)
    spec.save(folder / "spec.json")
    return spec
