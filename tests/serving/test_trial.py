"""The trial of a model: it passes when both paths are one, and finds a planted skew."""

from datetime import datetime, timedelta

import polars as pl
import pytest

from lockgate.project import Serving
from lockgate.shipping.client import connected
from lockgate.shipping.folder import Example, ServingSpec, stage
from lockgate.shipping.gate import judge
from lockgate.shipping.trial import BATCH_ROWS, BATCH_VALUES, batch_rows, rows_to_send, try_out
from lockgate.training.spec import ModelSpec
from serving.runtime.__main__ import arguments

LIMITS = Serving(rows=600, load_seconds=300, latency_ms=2000, memory_mb=8000)


@pytest.fixture(scope="module")
def test_rows():
    start = datetime(2013, 10, 1)
    return pl.DataFrame({
        "distance": [None if i % 17 == 0 else 100 + 7 * i for i in range(300)],
        "carrier": [["UA", "AA", "é", None][i % 4] for i in range(300)],
        "Zeit é": [start + timedelta(minutes=37 * i) for i in range(300)],
        "label": [i % 2 for i in range(300)],
    })  # fmt: skip


def staged(folder, tmp_path):
    stage(folder, ServingSpec(threshold=0.4), Example(row={}), tmp_path / "model")
    (tmp_path / "model" / "example.json").unlink()
    return tmp_path / "model"


def test_rows_are_real_first_then_strange(exported, test_rows):
    spec = ModelSpec.load(exported() / "model.json")
    frame, strange = rows_to_send(test_rows, spec, 600)
    assert (frame.height, strange) == (600, 300)
    assert frame[:300].equals(test_rows.select(frame.columns))
    frame, strange = rows_to_send(test_rows, spec, 100)
    assert (frame.height, strange) == (120, 20)
    assert frame[:100].is_duplicated().sum() == 0


def test_the_largest_batches_are_far_below_what_the_server_takes(exported, test_rows):
    spec = ModelSpec.load(exported() / "model.json")
    frame, _ = rows_to_send(test_rows, spec, 5 * BATCH_ROWS)
    with connected("http://127.0.0.1", spec, "tiny") as client:
        largest = max(len(client.body(kind, frame[-BATCH_ROWS:])) for kind in ("v1", "v2"))
    taken = arguments(["--model", "x", "--name", "tiny"]).max_bytes
    assert largest / (BATCH_ROWS * len(spec.inputs)) * BATCH_VALUES < taken
    assert [batch_rows(columns) for columns in (3, 40, 400, 100_000)] == [1000, 1000, 100, 1]


def test_a_model_that_serves_as_it_was_trained_passes(exported, path_of, test_rows, tmp_path):
    told: list[str] = []
    model = staged(exported("multiclass"), tmp_path)
    record = try_out(model, test_rows, LIMITS, lambda: path_of(exported("multiclass")), told.append)
    verdict = judge(record)
    assert verdict.is_open, verdict.sentence()
    assert [p.rows for p in record.parity] == [600, 600]
    assert record.malformed > 40
    assert 0 < record.load_seconds < 300
    assert 0 < record.latency_ms["p50"] <= record.latency_ms["p90"] <= record.latency_ms["p99"]
    assert 100 < record.memory_mb < 8000
    assert len(told) == 2


def test_a_planted_skew_closes_the_gate(exported, path_of, test_rows, tmp_path):
    """The served model was exported with another constant than training's."""
    model = staged(exported(bias=1e-3), tmp_path)
    record = try_out(model, test_rows, LIMITS, lambda: path_of(exported()), lambda _: None)
    verdict = judge(record)
    assert [check.rule for check in verdict.errors] == ["parity", "parity"]
    assert all(p.unequal == p.rows for p in record.parity)
    assert 1e-5 < record.largest_difference < 1e-3
