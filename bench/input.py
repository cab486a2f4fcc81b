"""Rows a second of the input pipeline on one core, beside the bare read of the same Parquet by pyarrow."""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lockgate.features.spec import LabelSpec, TransformSpec
from lockgate.training.input import Batches, Features

COLUMNS = 24


def main() -> None:
    """Prints a table: rows a second of CPU time, median of several epochs."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=1024)
    given = parser.parse_known_args()[0]
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    pa.set_cpu_count(1)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "00000.parquet"
        write(file, given.rows)
        pq.read_table(file, use_threads=False)  # both find the file in the page cache
        bare = [rate(lambda: pq.read_table(file, use_threads=False).num_rows) for _ in range(given.epochs)]
        batches = Batches(Features(Path(folder), spec()), shards=1, batch=given.batch, seed=7)
        piped = [rate(lambda e=e: sum(map(len, batches.epoch(e)))) for e in range(given.epochs)]
    ours, read = statistics.median(piped), statistics.median(bare)
    print(f"{given.rows:,} rows × {COLUMNS} float32 columns, batches of {given.batch}, one core")
    print("| | M rows/s of CPU |\n|---|---|")
    print(f"| input pipeline (shuffled batches) | {ours / 1e6:.2f} |")
    print(f"| bare pyarrow read | {read / 1e6:.2f} |")
    print(f"| ratio | {ours / read:.2f} |")


def write(file: Path, rows: int) -> None:
    """Writes `rows` rows as the transform writes them."""
    rng = np.random.default_rng(0)
    names = [*spec().numbers, "label"]
    schema = pa.schema([pa.field(name, pa.float32(), nullable=False) for name in names])
    with pq.ParquetWriter(file, schema, compression="none", use_dictionary=False) as writer:
        for start in range(0, rows, 1 << 18):
            count = min(1 << 18, rows - start)
            arrays = [pa.array(rng.standard_normal(count, dtype=np.float32)) for _ in names]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=16_384)


def spec() -> TransformSpec:
    """The layout of 24 numbers and a label."""
    names = tuple(f"x{i}" for i in range(COLUMNS))
    label = LabelSpec(name="label", task="regression")
    return TransformSpec(columns=(), features=(), label=label, numbers=names, categories=())


def rate(read: object) -> float:
    """Rows per second of CPU time of one call."""
    start = time.process_time()
    rows = read()  # type: ignore[operator]
    return rows / (time.process_time() - start)


if __name__ == "__main__":
    main()
