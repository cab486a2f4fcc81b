"""The laptop's proxy before two real model servers: the split, the copies, changes under load, its end."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import httpx
import pytest
from scipy.stats import binom

from lockgate.errors import ServingError
from lockgate.shipping.folder import Example, ServingSpec, folder_digest, stage
from lockgate.shipping.names import revision_name
from lockgate.shipping.server import ROOT, running
from serving.laptop.load import Load
from serving.laptop.proxy import Proxy, Requests, Route

ROW = {"distance": 500, "carrier": "UA", "Zeit é": "2013-10-01T05:15:00Z"}
BODIES = [json.dumps({"instances": [{**ROW, "distance": i}]}).encode() for i in range(100)]
PATH = "/v1/models/tiny:predict"
NOBODY = "127.0.0.1:1"
# Of a bound: a test that fails by chance does so once in a million runs.
CHANCE = 1e-6


@pytest.fixture(scope="module")
def servers(exported, tmp_path_factory):
    """Two model servers, by revision: addresses."""
    folders = []
    for bias in (0.0, 0.5):
        draft = tmp_path_factory.mktemp("models") / "draft"
        stage(exported("binary", bias), ServingSpec(), Example(row=ROW), draft)
        folders.append(draft.rename(draft.with_name(folder_digest(draft))))
    with running(folders[0], "tiny") as first, running(folders[1], "tiny") as second:
        yield {
            revision_name("tiny", folder.name): started.url.removeprefix("http://")
            for folder, started in zip(folders, (first, second), strict=True)
        }


@pytest.fixture(scope="module")
def shared(servers):
    with Proxy(servers) as started:
        yield started


@pytest.fixture
def proxy(shared, servers):
    shared.route({next(iter(servers)): 100})
    return shared


@pytest.fixture
def names(servers):
    return list(servers)


def digits(name):
    return name.rsplit("-", 1)[1]


def send(proxy, count, **headers):
    """The revisions that answered so many requests, one after the other."""
    with httpx.Client(base_url=proxy.url, trust_env=False) as client:
        answers = [client.post(PATH, content=BODIES[0], headers=headers) for _ in range(count)]
    assert {answer.status_code for answer in answers} == {200}
    return [answer.headers["x-lockgate-revision"] for answer in answers]


def until(is_true, seconds=10.0):
    end = time.monotonic() + seconds
    while not (found := is_true()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return found


def in_bounds(hits, count, share):
    low, high = binom.interval(1 - CHANCE, count, share)
    return low <= hits <= high


def test_requests_are_split_by_weight(proxy, names):
    stable, candidate = names
    proxy.route({stable: 90, candidate: 10})
    assert proxy.route_in_force() == Route({stable: 90, candidate: 10})
    before = proxy.requests()
    with Load(proxy.url + PATH, BODIES, rate=400, most=1600) as load:
        load.wait()
    assert load.counts.failed == 0
    hits = load.counts.by_revision(digits(candidate))["200"]
    assert hits + load.counts.by_revision(digits(stable))["200"] == load.counts.sent == 1600
    assert in_bounds(hits, 1600, 0.1)
    after = proxy.requests()
    assert after[candidate].answered - before[candidate].answered == hits
    assert after[stable].answered - before[stable].answered == 1600 - hits


def test_changes_under_load_lose_nothing(proxy, names, servers):
    stable, candidate = names
    third = "tiny-00000000"
    with Load(proxy.url + PATH, BODIES, rate=300) as load:
        for weight in (0, 1, 5, 25, 50, 75, 100, 0, 50, 0):
            proxy.route({stable: 100 - weight, candidate: weight}, candidate, 20)
            proxy.connect(third, servers[stable])
            proxy.route({third: 50, stable: 50})
            proxy.route({stable: 100})
            proxy.disconnect(third)
            sent = load.counts.sent
            until(lambda sent=sent: load.counts.sent >= sent + 50)
    assert load.counts.failed == 0
    assert load.counts.answered == load.counts.sent >= 500
    assert third not in proxy.requests()


def test_a_change_is_in_force_when_route_returns(proxy, names):
    with httpx.Client(base_url=proxy.url, trust_env=False) as kept:
        for name in names * 10:
            proxy.route({name: 1})
            answers = [kept.post(PATH, content=BODIES[0]) for _ in range(3)]
            assert [a.headers["x-lockgate-revision"] for a in answers] == [digits(name)] * 3
            assert [a.status_code for a in answers] == [200] * 3


def test_copies_reach_their_share_and_answer_nobody(proxy, names, servers):
    stable, candidate = names
    proxy.route({stable: 100}, candidate, 30)
    assert proxy.route_in_force() == Route({stable: 100}, candidate, 30)
    seen, before = predictions(servers[candidate]), proxy.requests()[candidate]
    assert set(send(proxy, 600)) == {digits(stable)}

    def finished():
        after = proxy.requests()[candidate]
        copies = after.mirrored - before.mirrored
        return predictions(servers[candidate]) - seen == copies and (after, copies)

    after, copies = until(finished)
    assert in_bounds(copies, 600, 0.3)
    assert after.answered == before.answered
    proxy.route({stable: 100}, candidate, 0)
    send(proxy, 100)
    assert proxy.route_in_force() == Route({stable: 100})
    assert finished() == (after, copies)


def predictions(address):
    """How many prediction requests a model server has answered, by its own count."""
    text = httpx.get(f"http://{address}/metrics", trust_env=False).text
    counts = [line for line in text.splitlines() if line.startswith("lockgate_requests_total{")]
    return sum(int(float(line.split()[-1])) for line in counts)


def test_a_header_names_the_revision_while_that_has_a_weight(proxy, names):
    stable, candidate = names
    proxy.route({stable: 99, candidate: 1})
    for name in names:
        assert set(send(proxy, 40, **{"x-lockgate-revision": digits(name)})) == {digits(name)}
    proxy.route({stable: 100, candidate: 0})
    assert set(send(proxy, 40, **{"x-lockgate-revision": digits(candidate)})) == {digits(stable)}


def test_a_backend_without_a_server_fails_by_its_name_and_no_other(proxy, names):
    dead = "tiny-dddddddd"
    proxy.connect(dead, NOBODY)
    proxy.route({names[0]: 50, dead: 50})
    with Load(proxy.url + PATH, BODIES, rate=400, most=200) as load:
        load.wait()
    failed = load.counts.by_revision("dddddddd")
    assert set(failed) == {"503"}
    assert load.counts.failed == failed.total() > 0
    assert proxy.requests()[dead] == Requests(failed.total(), failed.total(), 0)
    with pytest.raises(ServingError, match="tiny-dddddddd still takes requests"):
        proxy.disconnect(dead)


def test_only_predictions_are_passed_on(proxy):
    with httpx.Client(base_url=proxy.url, trust_env=False) as client:
        assert client.get("/v2/models/tiny").json()["name"] == "tiny"
        assert [client.get(path).status_code for path in ("/metrics", "/lockgate/answers", "/")] == [404] * 3


@pytest.mark.parametrize(
    ("weights", "mirror", "sentence"),
    [
        ({"tiny-eeeeeeee": 100}, (None, 0), "does not know tiny-eeeeeeee"),
        ({}, (None, 0), "split nothing"),
        ({"first": 0}, (None, 0), "split nothing"),
        ({"first": 101, "second": -1}, (None, 0), "split nothing"),
        ({"first": 100}, ("tiny-eeeeeeee", 10), "does not know tiny-eeeeeeee"),
        ({"first": 100}, ("second", 101), "101 % of copies"),
        ({"first": 100}, (None, 10), "10 % of copies to None"),
    ],
)
def test_what_cannot_be_routed_is_refused_and_changes_nothing(proxy, names, weights, mirror, sentence):
    known = dict(zip(("first", "second"), names, strict=True))
    with pytest.raises(ServingError, match=sentence):
        proxy.route(
            {known.get(n, n): w for n, w in weights.items()}, known.get(mirror[0], mirror[0]), mirror[1]
        )
    assert proxy.route_in_force() == Route({names[0]: 100})


def test_the_proxy_ends_with_the_one_who_started_it():
    code = (
        "import sys\nfrom serving.laptop.proxy import Proxy\n"
        "with Proxy({}) as p:\n print(p.url, p.admin, flush=True)\n sys.stdin.read()"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        urls = started.stdout.readline().split()
        assert [answers(url) for url in urls] == [True, True]
        os.kill(started.pid, signal.SIGKILL)
        until(lambda: not any(map(answers, urls)))
    finally:
        started.kill()
        started.communicate()


def answers(url):
    with suppress(httpx.TransportError):
        return bool(httpx.get(url, trust_env=False).status_code)
    return False


def test_an_envoy_that_cannot_start_is_explained(monkeypatch, tmp_path):
    monkeypatch.setattr("serving.laptop.envoy.HOST", "192.0.2.1")
    with pytest.raises(ServingError, match=r"was to start, but ended with code 1: .*192\.0\.2\.1"), Proxy({}):
        pass
