"""Runs the preprocessing model over the raw rows once and keeps the network's inputs as Parquet."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from lockgate.data.label import encode_label, labelled
from lockgate.data.snapshot import paths_of
from lockgate.features.layout import file_columns
from lockgate.features.raw import encode
from lockgate.features.spec import NUMBERS, TransformSpec
from lockgate.project import Project
from lockgate.records import Snapshot, Split
from lockgate.storage import explained
from lockgate.workspace import Workspace

ROW_GROUP = 16_384
BATCH = 4 * ROW_GROUP


def materialise(
    project: Project,
    workspace: Workspace,
    snapshot: Snapshot,
    spec: TransformSpec,
    *,
    split: Split,
    folder: Path,
) -> int:
    """Writes the labelled rows of a split as network inputs into `folder`, in their order; returns how many.

    One file a partition, `00000.parquet` and on: the columns of `file_columns(spec)`, float32 numbers,
    int32 categories, then the label (float32; int32 places for several classes). Row groups hold at most
    16,384 rows, uncompressed: reading them is then nearly copying.

    Raises:
        StorageError: the folder cannot be written, or the disk is full.
        DataError: a partition is gone; a label is unknown to the training rows.
    """
    from lockgate.features.preprocess import build  # TensorFlow

    model = _compiled(build(spec))
    schema = _schema(spec)
    total = 0
    paths = paths_of(workspace, snapshot, split)
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for number, path in enumerate(paths):
            target = folder / f"{number:05}.parquet"
            with pq.ParquetWriter(target, schema, compression="none", use_dictionary=False) as writer:
                for rows in _batches(path, [c.name for c in spec.columns], project):
                    tensors = model(encode(rows, spec.columns))
                    label = encode_label(rows, project, spec.label.classes or None)
                    arrays = _arrays(spec, tensors, label)
                    writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=ROW_GROUP)
                    total += rows.height
    return total


def _batches(path: Path, columns: list[str], project: Project) -> Iterator[pl.DataFrame]:
    wanted = list(dict.fromkeys([*columns, project.data.label]))
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=BATCH, columns=wanted):
            frame = pl.from_arrow(batch)
            if not isinstance(frame, pl.DataFrame):  # only a bare column would become a series
                raise TypeError(f"{path} gave {type(frame).__name__}")
            rows = labelled(frame, project)
            if rows.height:
                yield rows


def _compiled(model: Any) -> Any:
    import tensorflow as tf

    signature = {
        i.name: tf.TensorSpec([None], tf.dtypes.as_dtype(str(i.dtype)), name=i.name) for i in model.inputs
    }
    return tf.function(model, input_signature=[signature])


def _arrays(spec: TransformSpec, tensors: Mapping[str, Any], label: np.ndarray[Any, Any]) -> list[pa.Array]:
    block = tensors[NUMBERS].numpy() if spec.numbers else np.zeros((len(label), 0), dtype=np.float32)
    columns = [pa.array(np.ascontiguousarray(column)) for column in block.T]
    columns += [pa.array(tensors[c.input].numpy()) for c in spec.categories]
    return [*columns, pa.array(label)]


def _schema(spec: TransformSpec) -> pa.Schema:
    types = [pa.float32()] * len(spec.numbers) + [pa.int32()] * len(spec.categories)
    types.append(pa.int32() if spec.label.task == "multiclass" else pa.float32())
    names = file_columns(spec)
    return pa.schema([pa.field(n, t, nullable=False) for n, t in zip(names, types, strict=True)])
