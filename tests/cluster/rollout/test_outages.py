"""What the controller needs is away: the API server, the metrics, the requests."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.rollout.controlled import cut_off
from tests.cluster.rollout.noted import Noted, happened
from tests.cluster.rollout.scene import POD_SECONDS, Scene

CLUSTER = Path(os.environ.get("CLUSTER_STATE", "/var/lib/testcluster"))
OUTAGE = 60.0


@contextmanager
def stopped(process: int) -> Iterator[None]:
    """The process answers nobody as long as the context lasts."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


@pytest.fixture
def api_server() -> int:
    """The API server's process on this machine."""
    file = CLUSTER / "run" / "kube-apiserver.pid"
    if not file.exists() or os.geteuid():
        pytest.skip(f"the API server is no process of ours: there is no {file}")
    return int(file.read_text())


@pytest.fixture
def not_root() -> None:
    """Skips where nothing can be kept from one user alone."""
    if os.geteuid():
        pytest.skip("only root can cut the controller off from the pods")


def test_the_api_server_is_away_for_a_minute_and_the_rollout_goes_on(
    scene: Scene, noted: Noted, api_server: int
) -> None:
    """Kubernetes itself may hold its node for lost afterwards, as nobody could tell it otherwise.

    It then takes all pods out of their Services for some seconds, and what the gateway refuses is no
    revision's doing, nor the controller's.
    """
    candidate = scene.push(scene.other())
    scene.at_weight(candidate, 20)
    with stopped(api_server):
        away, begun = scene.traffic.window(), time.monotonic()
        time.sleep(OUTAGE)
        print(f"\n{away.total} answers in {time.monotonic() - begun:.0f} s without an API server")
        assert away.lost() == {}
        assert away.total >= 0.95 * scene.traffic.rate * OUTAGE
        assert away.of(candidate) > 0.15 * away.total
    status = scene.ended(candidate)
    # So that its pods are back in their Services for the next test.
    scene.answered(POD_SECONDS)
    past = status.history[0]
    if lost_nodes(scene, noted):
        print("Kubernetes held the node for lost:", past.outcome, past.message)
        assert (past.outcome, past.reason) in {("Promoted", "Fine"), ("RolledBack", "NotServing")}
        assert set(noted.requests.lost()) <= {("503", "")}
    else:
        assert (past.outcome, past.reason) == ("Promoted", "Fine")
        assert noted.requests.lost() == {}


def lost_nodes(scene: Scene, noted: Noted) -> list[str]:
    """The nodes that Kubernetes has held for lost since the test began."""
    found = scene.kubectl.get("events.v1.events.k8s.io", namespace="default")["items"]
    return [
        event["regarding"]["name"]
        for event in found
        if event["reason"] == "NodeNotReady" and happened(event) >= noted.began
    ]


def test_without_metrics_it_holds_and_at_the_deadline_the_candidate_goes_back(
    scene: Scene, noted: Noted, pods: str, not_root: None
) -> None:
    candidate = scene.push(scene.other(), deadline_seconds=14)
    scene.at_weight(candidate, 20)
    with cut_off(pods):
        held = scene.until(lambda s: s.phase == "Holding", 20, "a rollout that is held")
        assert held.reason == "MetricsSourceFailing"
        assert held.weight == 20
        status = scene.ended(candidate)
    past = status.history[0]
    assert (past.outcome, past.reason) == ("RolledBack", "MetricsSourceFailing")
    assert "not enough evidence after" in past.message
    assert noted.requests.lost() == {}
    assert scene.route() == {status.stable_revision: 100}


def test_without_requests_it_holds_goes_on_with_them_and_goes_back_at_the_deadline(
    scene: Scene, noted: Noted
) -> None:
    candidate = scene.push(scene.other(), deadline_seconds=20)
    scene.at_weight(candidate, 20)
    with scene.traffic.paused():
        held = scene.until(lambda s: s.phase == "Holding", 20, "a rollout that is held")
        assert (held.reason, held.weight) == ("NoTraffic", 20)
    scene.at_weight(candidate, 50, 30)
    with scene.traffic.paused():
        status = scene.ended(candidate)
    past = status.history[0]
    assert (past.outcome, past.reason, past.weight) == ("RolledBack", "NoTraffic", 50)
    reasons = noted.reasons()
    assert [r for r in reasons if r in ("NoTraffic", "RolledBack")] == [
        "NoTraffic",
        "NoTraffic",
        "RolledBack",
    ]
    assert noted.requests.lost() == {}
