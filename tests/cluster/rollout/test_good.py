"""A good candidate from 0 to 100 %: no request is lost, and the gateway splits as it was told."""

from lockgate.evaluation.wilson import wilson
from tests.cluster.kube import wait_for
from tests.cluster.rollout.controlled import metrics
from tests.cluster.rollout.noted import Noted
from tests.cluster.rollout.scene import POD_SECONDS, Scene
from tests.cluster.rollout.watch import Watch

SURE = 0.9999


def test_a_good_candidate_takes_all_of_the_traffic_and_no_request_is_lost(scene: Scene, noted: Noted) -> None:
    """The first push by rollout after a direct one: what serves is adopted as the stable revision."""
    stable, model = scene.stable, scene.other()
    with Watch(scene) as watch:
        candidate = scene.push(model)
        scene.at_weight(candidate, 50)
        seen = metrics(scene.controller)
        scene.ended(candidate)
        wait_for(lambda: scene.revisions() == {candidate}, POD_SECONDS, "the end of the old revision")
        rest = noted.requests.total
        wait_for(lambda: noted.requests.total > rest + 100, 30, "two more seconds of requests")
    began = watch.moments[0].time
    reached = {w: watch.first(candidate, w) - began for w in (20, 50, 100)}
    print("\nseconds until", {f"{weight} %": round(seconds) for weight, seconds in reached.items()})
    print("shares", watch.shares(candidate))

    assert noted.requests.lost() == {}
    assert noted.requests.total >= 0.95 * scene.traffic.rate * noted.seconds
    assert watch.steps(candidate) == [0, 20, 50, 100]
    assert [weight for weight, _, _ in watch.shares(candidate)] == [20, 50]
    for weight, mine, every in watch.shares(candidate):
        low, high = wilson(mine, every, SURE)
        assert low <= weight / 100 <= high, f"{mine} of {every} requests at {weight} %"

    told = noted.events()
    reasons = [reason for reason, _ in told]
    assert reasons.count("Advanced") == 3
    assert [r for r in reasons if r in {"Promoted", "Settled", "Retired"}] == [
        "Promoted",
        "Settled",
        "Retired",
    ]
    assert any(reason == "Retired" and stable in sentence for reason, sentence in told)

    shown = scene.shown
    assert (shown.spec.stable.digest, shown.spec.candidate) == (model.name, None)
    past = shown.status.history[0]
    assert (past.candidate, past.outcome, past.reason, past.weight) == (model.name, "Promoted", "Fine", 100)
    assert past.message
    assert {r.measure for r in shown.status.measurements} >= {"errors", "latency", "scores", "split"}
    assert (
        shown.status.observed_generation
        == scene.kubectl.get("modelrollout", shown.model, namespace=scene.namespace)["metadata"]["generation"]
    )
    assert {c.type: c.status for c in shown.status.conditions}["Ready"] == "True"
    weight = next(v for k, v in seen.items() if k.startswith("lockgate_rollout_weight{"))
    assert weight in (50, 0.5)
    assert any(k.startswith("lockgate_rollout_evidence{") for k in seen)
    assert sum(v for k, v in seen.items() if k.startswith("lockgate_controller_looks_total")) > 5
