"""What the controller shows of its looks at a rollout in memory."""

from prometheus_client.parser import text_string_to_metric_families

from serving.controller.metrics import Metrics
from tests.rollout.world import World, short

Series = tuple[str, frozenset[tuple[str, str]]]


def series(name: str, **labels: str) -> Series:
    return f"lockgate_{name}", frozenset(labels.items())


def shown(metrics: Metrics) -> dict[Series, float]:
    """Every sample by its name and its labels."""
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {(s.name, frozenset(s.labels.items())): s.value for f in families for s in f.samples}


def test_the_series_follow_a_rollout_to_its_end_and_then_forget_it() -> None:
    world, metrics = World(short()).begin(), Metrics()
    split = []
    while world.status.phase != "Promoted":
        before = world.status.weight
        looked = world.tick()
        assert looked is not None
        metrics.looked(looked, 0.3)
        found, weight = shown(metrics), looked.status.weight
        of = {"namespace": looked.rollout.namespace, "model": looked.rollout.model}
        phases = [
            dict(labels)["phase"] for (name, labels), on in found.items() if name.endswith("phase") and on
        ]
        assert phases == [looked.status.phase]
        assert found[series("rollout_weight", **of)] == weight
        share = found.get(series("rollout_observed_share", **of))
        if looked.status.phase == "Stepping" and share is not None:
            split.append((before, share))
            assert series("rollout_evidence", **of, measure="errors", direction="against") in found
    # Of the look that ended a step, the share is still that of the step.
    assert {weight for weight, _ in split} >= {5, 25}
    assert all(abs(share - weight) < 1 for weight, share in split)
    looks = found[series("controller_looks_total", result="ok")]
    assert looks == found[series("controller_look_seconds_count")] > 8
    metrics.failed(2.0)
    metrics.erred(**of)
    found = shown(metrics)
    assert found[series("rollout_phase", **of, phase="Error")] == 1
    assert found[series("rollout_phase", **of, phase="Promoted")] == 0
    metrics.forget(**of)
    found = shown(metrics)
    assert found[series("controller_looks_total", result="error")] == 1
    assert not [name for name, _ in found if name.startswith("lockgate_rollout")]
