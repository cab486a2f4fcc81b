"""Alerts and dashboard ask for what servers and controller count, by the labels that it has."""

import re

from prometheus_client.parser import text_string_to_metric_families

from lockgate.training.spec import ModelSpec
from serving.controller.metrics import Metrics as ControllerMetrics
from serving.runtime.metrics import PROBABILITIES, Metrics
from tests.manifests.built import MANIFESTS, adhoc
from tests.manifests.monitoring import expressions
from tests.rollout.world import World, short

# Set by Prometheus on what it scrapes, from the PodMonitor's podTargetLabels.
SCRAPED = {"namespace", "lockgate_dev_model", "serving_kserve_io_inferenceservice"}


def counted() -> dict[str, set[str]]:
    """The series of a server after one answer, and of a controller in a rollout's first step, with labels."""
    spec = ModelSpec(
        name="tiny", task="binary", label="late", classes=("false", "true"), inputs=(), output="probability",
        snapshot="0" * 64, metric="roc_auc", rows=10, parameters=1,
    )  # fmt: skip
    metrics = Metrics(spec, "tiny", "1" * 64, PROBABILITIES)
    metrics.answered("v1", "200", 0.01)
    controller, world = ControllerMetrics(), World(short()).begin()
    while world.status.phase != "Stepping" or world.status.observed == "":
        looked = world.tick()
        assert looked is not None
        controller.looked(looked, 0.1)
    shown = text_string_to_metric_families(controller.exposition().decode())
    found: dict[str, set[str]] = {}
    for family in (*metrics.collect(), *shown):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_every_series_that_is_asked_for_is_counted():
    asked = {name for e in expressions() for name in re.findall(r"\blockgate_[a-z_]+", e)} - SCRAPED
    assert asked <= counted().keys()
    assert {"lockgate_requests_total", "lockgate_request_seconds_bucket", "lockgate_score_bucket"} <= asked


def test_every_label_that_is_asked_for_is_there():
    there = {label for labels in counted().values() for label in labels} | SCRAPED
    for expression in expressions():
        if "lockgate_" not in expression:
            continue
        selected = re.findall(r"(\w+)=~?\"", expression)
        grouped = [name for group in re.findall(r"by \(([^)]*)\)", expression) for name in group.split(", ")]
        assert {*selected, *grouped} <= there, expression


def test_the_pods_labels_become_those_of_the_series():
    monitors = {
        o["metadata"]["name"]: o["spec"]
        for o in adhoc([MANIFESTS / "base"], [MANIFESTS / "components" / "monitoring"])
        if o["kind"] == "PodMonitor"
    }
    labels = monitors["lockgate-serving"]["podTargetLabels"]
    becomes = {re.sub(r"[^a-zA-Z0-9_]", "_", label) for label in labels}
    assert becomes == SCRAPED - {"namespace"}
    # Else Prometheus would call the rollout's namespace exported_namespace.
    (scraped,) = monitors["lockgate-controller"]["podMetricsEndpoints"]
    assert scraped["honorLabels"] is True


def test_every_alert_says_what_to_do():
    rules = [
        rule
        for o in adhoc([MANIFESTS / "base"], [MANIFESTS / "components" / "monitoring"])
        if o["kind"] == "PrometheusRule"
        for group in o["spec"]["groups"]
        for rule in group["rules"]
    ]
    assert len(rules) == 10
    for rule in rules:
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert {"summary", "description"} <= rule["annotations"].keys()
        assert "$labels" in rule["annotations"]["summary"]
