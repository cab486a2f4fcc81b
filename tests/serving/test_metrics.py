"""What is counted, and that counting costs next to nothing."""

import time

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from lockgate.training.spec import ModelSpec
from serving.runtime.metrics import DECADES, PROBABILITIES, Histogram, Metrics, score_bounds
from tests.unit.training_data import tiny_spec


def samples(metrics):
    registry = CollectorRegistry()
    registry.register(metrics)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {(s.name, *sorted(s.labels.items())): s.value for f in families for s in f.samples}


def made(exported, task="binary"):
    spec = ModelSpec.load(exported(task) / "model.json")
    return Metrics(spec, "tiny", "d" * 64, score_bounds(spec, exported(task)))


def test_requests_are_counted_by_protocol_and_code_with_their_seconds(exported):
    metrics = made(exported)
    for seconds in (0.0004, 0.004, 0.004, 9.0):
        metrics.answered("v1", "200", seconds)
    metrics.answered("grpc", "INVALID_ARGUMENT", 0.1)
    found = samples(metrics)
    assert found["lockgate_requests_total", ("code", "200"), ("protocol", "v1")] == 4
    assert found["lockgate_requests_total", ("code", "INVALID_ARGUMENT"), ("protocol", "grpc")] == 1
    bucket = "lockgate_request_seconds_bucket"
    assert found[bucket, ("le", "0.003"), ("protocol", "v1")] == 1
    assert found[bucket, ("le", "0.005"), ("protocol", "v1")] == 3
    assert found[bucket, ("le", "+Inf"), ("protocol", "v1")] == 4
    assert found["lockgate_request_seconds_sum", ("protocol", "v1")] == pytest.approx(9.0084)
    info = ("digest", "d" * 64), ("model", "tiny"), ("task", "binary")
    assert found["lockgate_model_info", *info] == 1


def test_scores_are_counted_in_twentieths_and_of_several_classes_by_the_best(exported):
    metrics = made(exported)
    metrics.scored({"probability": np.float32([0.0, 0.05, 0.051, 1.0])}, 4, 2)
    metrics.scored({"probability": np.float32([0.5])}, 1, 1)
    found = samples(metrics)
    assert found["lockgate_score_bucket", ("le", "0.1")] == 3
    assert found["lockgate_score_bucket", ("le", "1.0")] == found["lockgate_score_count",] == 5
    assert found["lockgate_batch_rows_sum",] == 5
    assert found["lockgate_batch_requests_sum",] == 3
    several = made(exported, "multiclass")
    best = {
        "probabilities": np.float32([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.1, 0.1, 0.8]]),
        "label": np.array(["Adélie", "c", "c"], dtype=object),
    }
    several.scored(best, 3, 1)
    found = samples(several)
    assert found["lockgate_score_count", ("label", "c")] == 2
    assert found["lockgate_score_count", ("label", "b")] == 0
    assert found["lockgate_score_sum", ("label", "c")] == pytest.approx(1.5)


def test_a_histogram_counts_arrays_as_it_counts_values():
    values = np.random.default_rng(0).normal(size=500)
    one, all_ = Histogram((-1, 0, 0.5)), Histogram((-1, 0, 0.5))
    for value in values:
        one.add(value)
    all_.add_all(values)
    assert one.counts == all_.counts
    assert one.total == pytest.approx(all_.total)


def test_predictions_of_a_regression_are_counted_over_the_labels_spread(exported, tmp_path):
    spec = ModelSpec.load(exported("regression") / "model.json")
    assert score_bounds(spec, exported("regression")) == DECADES
    tiny_spec("regression").save(tmp_path / "transform.json")  # mean 100, standard deviation 5
    bounds = score_bounds(spec, tmp_path)
    assert (bounds[0], bounds[10], bounds[20], len(bounds)) == (85.0, 100.0, 115.0, 21)
    binary = ModelSpec.load(exported() / "model.json")
    assert score_bounds(binary, tmp_path) == PROBABILITIES


def test_counting_a_request_takes_microseconds(exported):
    """The limit is ten times what it takes on an idle machine: the tests share theirs."""
    metrics = made(exported)
    scores = np.float32([0.3])
    start = time.process_time()
    for _ in range(10_000):
        metrics.answered("v1", "200", 0.0021)
        metrics.scored({"probability": scores}, 1, 1)
    assert (time.process_time() - start) / 10_000 < 40e-6
