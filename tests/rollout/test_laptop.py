"""Real rollouts on this machine: a good candidate loses no request, a bad one goes back, and says why."""

import signal
import subprocess
import sys
import time

import psutil
import pytest

from serving.laptop.spoil import spoil
from tests.conftest import ROOT
from tests.rollout.laptop import MODEL, pushed, quick, rolled
from tests.serving.conftest import export


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A model, and one that differs little from it, in a folder of model folders."""
    folder = tmp_path_factory.mktemp("models")
    stable, candidate = (
        pushed(export(tmp_path_factory.mktemp("export"), bias=bias), folder) for bias in (0.0, 0.02)
    )
    return stable, candidate


@pytest.fixture(autouse=True)
def _no_process_is_left():
    before = set(psutil.Process().children(recursive=True))
    yield
    assert set(psutil.Process().children(recursive=True)) <= before


def test_a_good_candidate_is_promoted_and_no_request_is_lost(models):
    stable, candidate = models
    record = rolled(quick(stable, mirror=50), stable, candidate)
    assert (record.outcome, record.reason) == ("Promoted", "Fine"), record.message
    assert record.sent > 500
    assert record.failed == 0
    phases = list(dict.fromkeys(moment.phase for moment in record.moments))
    assert phases == ["Preparing", "Mirroring", "Stepping", "Soaking", "Promoted"]
    assert [turn.weight for turn in record.turns()] == [0, 10, 50, 100]
    # Clients were answered by both, and by the candidate alone in the end.
    first, last = record.moments[0].requests, record.moments[-1].requests
    assert last[f"{MODEL}-{stable.name[:8]}"] > first[f"{MODEL}-{stable.name[:8]}"]
    ends = [m.requests[f"{MODEL}-{stable.name[:8]}"] for m in record.moments if m.phase == "Promoted"]
    assert len(set(ends)) == 1
    assert record.readings
    assert "Retired" in [happening.reason for happening in record.happenings]


@pytest.mark.parametrize(
    ("fault", "by", "mirror", "reason", "words"),
    [
        ("errors", 0.2, 0, "Errors", "of the requests failed"),
        ("slow", 120.0, 0, "Latency", "of the requests took more than 0.075 s"),
        ("skewed", 2.0, 0, "Scores", "beside the stable's"),
        ("skewed", 2.0, 50, "Agreement", "requests with two answers"),
        ("crash", 20.0, 0, "NotServing", "its process ended with code"),
    ],
)
def test_a_bad_candidate_goes_back_for_its_own_reason(models, tmp_path, fault, by, mirror, reason, words):
    stable, candidate = models
    record = rolled(quick(stable, mirror=mirror), stable, spoil(candidate, tmp_path, fault, by))
    assert (record.outcome, record.reason) == ("RolledBack", reason), record.message
    assert words in record.message
    assert record.failed_stable == 0
    assert record.moments[-1].weight == 0
    # Its answers are nobody's while requests are only copied to it.
    assert record.failed == 0 or not mirror


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_servers_and_proxy_end_with_whoever_started_them(models, number):
    stable, _ = models
    command = [sys.executable, "-m", "tests.rollout.laptop", str(stable.parent)]
    started = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        children = _servers_of(started)
        started.send_signal(number)
        started.wait(30)
        _, alive = psutil.wait_procs(children, timeout=30)
        assert alive == []
    finally:
        started.kill()
        started.wait()


def _servers_of(started):
    """All processes below one, once two model servers are among them."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        children = psutil.Process(started.pid).children(recursive=True)
        lines = [" ".join(child.cmdline()) for child in children if child.is_running()]
        if sum(" -m serving.runtime" in line and not line.startswith("/bin/sh") for line in lines) >= 2:
            return children
        time.sleep(0.1)
    raise AssertionError(f"no two servers: {lines}")
