"""The trial of a model before it may be pushed: served for real, measured, and compared with training."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from lockgate.errors import ServingError
from lockgate.project import Serving
from lockgate.shipping.client import Client, connected
from lockgate.shipping.folder import ServingSpec
from lockgate.shipping.malformed import malformed
from lockgate.shipping.mutate import mutated
from lockgate.shipping.parity import (
    RELATIVE_TOLERANCE,
    Scores,
    absolute_tolerance,
    compare,
    refusals,
    serve_rows,
)
from lockgate.shipping.record import Budgets, Parity, Refusals, ServingRecord
from lockgate.shipping.rows import json_values
from lockgate.shipping.server import Running, running
from lockgate.training.spec import ModelSpec

LATENCY_REQUESTS = 400
WARM_UP_REQUESTS = 50
BATCH_ROWS = 1000
BATCH_VALUES = 40_000  # a request of so many stays well below the 8 MiB that the server takes
MUTATED_SHARE = 0.2
SEED = 7

TrainingPath = Callable[[pl.DataFrame], Scores]


def rows_to_send(test: pl.DataFrame, spec: ModelSpec, rows: int) -> tuple[pl.DataFrame, int]:
    """The rows of the trial, and how many of them (the last ones) were made by mutation.

    Real rows first, at most `rows` of them, drawn without repetition; then mutated ones: a fifth of
    `rows`, or as many as are missing to `rows` where the test split is smaller.

    Raises:
        ServingError: the test split has no rows.
    """
    if test.is_empty():
        raise ServingError(
            "The test split has no rows to send.", "At least one is needed.", "Check split.test."
        )
    inputs = test.select(column.name for column in spec.inputs)
    real = inputs if inputs.height <= rows else inputs.sample(rows, seed=SEED)
    strange = max(int(rows * MUTATED_SHARE), rows - real.height)
    return pl.concat([real, mutated(inputs, spec.inputs, strange, SEED)]), strange


def try_out(
    model: Path,
    test: pl.DataFrame,
    limits: Serving,
    training_path: Callable[[], TrainingPath],
    tell: Callable[[str], None],
) -> ServingRecord:
    """Serves a model folder in a fresh process and measures what the serving gate decides by.

    Args:
        model: the model folder, with its `serving.json`.
        test: the rows of the test split, with the raw columns.
        limits: the serving section of the project.
        training_path: makes the function from raw rows to training's scores. It is called once the
            server's start was measured, because making it takes as much work as starting the server.
        tell: is told what is being done.

    Raises:
        ServingError: the server does not start, does not answer, or refuses rows that training takes.
    """
    spec = ModelSpec.load(model / "model.json")
    threshold = ServingSpec.of(model).threshold
    frame, strange = rows_to_send(test, spec, limits.rows)
    with running(model, spec.name) as server, connected(server.url, spec, spec.name) as client:
        tell(f"the server answered after {server.load_seconds:.1f} s; measuring latency")
        latencies = _latencies(client, frame[: frame.height - strange])
        tell(f"one row takes {np.median(latencies):.1f} ms; comparing {frame.height:,} rows with training")
        trained = training_path()(frame)
        tolerance = (RELATIVE_TOLERANCE, absolute_tolerance(spec, trained))
        parity = _compared(client, spec, threshold, frame, trained, strange, tolerance)
        refused = _refused(client, frame, spec)
        return _record(server, parity, refused, latencies, limits, tolerance, batch_rows(len(spec.inputs)))


def batch_rows(columns: int) -> int:
    """How many rows of so many columns are sent in one request."""
    return max(1, min(BATCH_ROWS, BATCH_VALUES // columns))


def _latencies(client: Client, real: pl.DataFrame) -> npt.NDArray[np.float64]:
    bodies = [client.body("v1", real[i % real.height]) for i in range(LATENCY_REQUESTS)]
    client.latencies(bodies[:WARM_UP_REQUESTS])
    return client.latencies(bodies)


def _compared(
    client: Client,
    spec: ModelSpec,
    threshold: float,
    frame: pl.DataFrame,
    trained: Scores,
    strange: int,
    tolerance: tuple[float, float],
) -> tuple[Parity, ...]:
    compared = []
    for protocol in ("v1", "v2"):
        served = serve_rows(client, protocol, spec, frame, batch_rows(len(spec.inputs)))
        compared.append(
            compare(protocol, spec, threshold, served, trained, mutated=strange, tolerance=tolerance)
        )
    return tuple(compared)


def _refused(client: Client, frame: pl.DataFrame, spec: ModelSpec) -> tuple[Refusals, ...]:
    values = json_values(frame[:1], spec.inputs)
    refused = refusals(client, malformed({name: v[0] for name, v in values.items()}, spec.inputs))
    if isinstance(words := client.answers("v1", frame[:1]), str):
        raise ServingError(f"After the malformed requests, the server refused a good row: {words}")
    return refused


def _record(
    server: Running,
    parity: tuple[Parity, ...],
    refused: tuple[Refusals, ...],
    latencies: npt.NDArray[np.float64],
    limits: Serving,
    tolerance: tuple[float, float],
    rows_a_request: int,
) -> ServingRecord:
    p50, p90, p99 = (float(value) for value in np.percentile(latencies, [50, 90, 99]))
    return ServingRecord(
        rows=sum(p.rows for p in parity),
        mutated=sum(p.mutated for p in parity),
        largest_difference=max(p.largest for p in parity),
        relative_tolerance=tolerance[0],
        absolute_tolerance=tolerance[1],
        parity=parity,
        refusals=refused,
        load_seconds=server.load_seconds,
        latency_ms={"p50": p50, "p90": p90, "p99": p99},
        latency_requests=len(latencies),
        rows_per_second=max(p.rows_per_second for p in parity),
        batch_rows=rows_a_request,
        memory_mb=server.memory_mb(),
        budgets=Budgets(
            load_seconds=limits.load_seconds, latency_ms=limits.latency_ms, memory_mb=limits.memory_mb
        ),
    )
