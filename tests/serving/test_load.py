"""Requests by the clock: the rate, the bounds, what is counted; a server that stands still slows nobody."""

import json
import os
import signal
import time

import pytest

from lockgate.shipping.folder import Example, ServingSpec, stage
from lockgate.shipping.server import running
from serving.laptop.load import Load

ROW = {"distance": 500, "carrier": "UA", "Zeit é": "2013-10-01T05:15:00Z"}
GOOD = json.dumps({"instances": [ROW]}).encode()
PATH = "/v1/models/tiny:predict"


@pytest.fixture(scope="module")
def server(exported, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "draft"
    stage(exported(), ServingSpec(), Example(row=ROW), folder)
    with running(folder, "tiny") as started:
        yield started


def test_it_sends_at_its_rate_in_turn_and_counts_every_answer(server):
    started = time.perf_counter()
    with Load(server.url + PATH, [GOOD, b"{}", GOOD, GOOD], rate=200, most=200) as load:
        assert load.wait()
    assert time.perf_counter() - started >= 199 / 200
    codes = {code: n for (code, _), n in load.counts.answers.items()}
    assert codes == {"200": 150, "400": 50}
    assert (load.counts.sent, load.counts.answered, load.counts.failed) == (200, 200, 50)
    assert load.counts.seconds > 0


@pytest.mark.parametrize(("most", "seconds", "sent"), [(20, 60, 20), (None, 0.1, 20), (20, 0.05, 10)])
def test_the_sooner_bound_ends_it(server, most, seconds, sent):
    with Load(server.url + PATH, [GOOD], rate=200, most=most, seconds=seconds) as load:
        load.wait()
    assert load.counts.sent == load.counts.answered == sent


def test_a_server_that_stands_still_gets_as_many_requests_and_answers_them_later(server):
    with Load(server.url + PATH, [GOOD], rate=100, most=150) as load:
        os.kill(server.pid, signal.SIGSTOP)
        try:
            assert not load.wait(1.0)
            assert load.counts.sent >= 50
            assert load.counts.sent - load.counts.answered >= 40
        finally:
            os.kill(server.pid, signal.SIGCONT)
        assert load.wait(30)
    assert {code for code, _ in load.counts.answers} == {"200"}
    assert load.counts.answered == 150


def test_where_nobody_listens_each_request_fails_by_name():
    with Load("http://127.0.0.1:1/x", [GOOD], rate=100, most=5) as load:
        load.wait()
    assert load.counts.answers == {("ClientConnectorError", ""): 5}
    assert load.counts.failed == 5
