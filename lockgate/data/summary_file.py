"""Keeping the summaries of one partition in a file, so that only new partitions are read."""

import io
import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from lockgate.data import vocabulary as words
from lockgate.data.points import Points
from lockgate.data.summary import CategorySummary, DateSummary, NumberSummary, Summary
from lockgate.data.vocabulary import NO_SAMPLE, Vocabulary
from lockgate.storage import write_atomically

FORMAT = 1
HEADER = "lockgate"
CLASSES = {"number": NumberSummary, "category": CategorySummary, "date": DateSummary}
SCHEMA = {
    "column": pl.UInt32,
    "table": pl.String,
    "value": pl.Float64,
    "weight": pl.Float64,
    words.TEXT: pl.String,
    words.COUNT: pl.Int64,
    words.HASH: pl.UInt64,
}


def save(path: Path, summaries: Mapping[str, Summary]) -> None:
    """Writes the summaries of a partition's columns, whole or not at all.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """
    header = [[name, *_scalars(summary)] for name, summary in summaries.items()]
    tables = [table for i, summary in enumerate(summaries.values()) for table in _tables(i, summary)]
    buffer = io.BytesIO()
    frame = pl.concat([pl.DataFrame(schema=SCHEMA), *tables], how="diagonal")
    frame.write_parquet(buffer, metadata={HEADER: json.dumps(header)}, compression_level=1)
    write_atomically(path, buffer.getvalue())


def load(path: Path) -> dict[str, Summary]:
    """Reads what `save` wrote."""
    header = json.loads(pl.read_parquet_metadata(path)[HEADER])
    tables = pl.read_parquet(path, glob=False).partition_by("column", "table", as_dict=True)
    return {name: _summary(kind, scalars, i, tables) for i, (name, kind, scalars) in enumerate(header)}


def _scalars(summary: Summary) -> tuple[str, dict[str, Any]]:
    kind = next(name for name, cls in CLASSES.items() if isinstance(summary, cls))
    values = {f.name: getattr(summary, f.name) for f in fields(summary)}
    if (vocabulary := values.pop("vocabulary", None)) is not None:
        values["error"] = vocabulary.error
    values.pop("points", None)
    return kind, {k: v.isoformat() if isinstance(v, datetime) else v for k, v in values.items()}


def _tables(column: int, summary: Summary) -> list[pl.DataFrame]:
    if isinstance(summary, NumberSummary):
        tables = {
            "points": pl.DataFrame(summary.points._asdict()).rename({"values": "value", "weights": "weight"})
        }
    else:
        tables = {"values": summary.vocabulary.values, "sample": summary.vocabulary.sample}
    return [
        table.with_columns(pl.lit(column, pl.UInt32).alias("column"), pl.lit(name).alias("table"))
        for name, table in tables.items()
    ]


def _summary(kind: str, scalars: dict[str, Any], column: int, tables: Mapping[Any, pl.DataFrame]) -> Summary:
    empty = pl.DataFrame(schema=SCHEMA)
    if kind == "number":
        table = tables.get((column, "points"), empty)
        points = Points(table.get_column("value").to_numpy(), table.get_column("weight").to_numpy())
        return NumberSummary(**scalars, points=points)
    values = tables.get((column, "values"), empty).select(words.TEXT, words.COUNT)
    sample = tables.get((column, "sample"), empty).select(NO_SAMPLE.columns)
    vocabulary = Vocabulary(values, scalars.pop("error"), sample)
    if kind == "category":
        return CategorySummary(**scalars, vocabulary=vocabulary)
    for end in ("min", "max"):
        scalars[end] = datetime.fromisoformat(scalars[end]) if scalars[end] else None
    return DateSummary(**scalars, vocabulary=vocabulary)
