"""Answers by their requests' hashes: whole under little load, the same share everywhere under much."""

import json
from hashlib import blake2b

import pytest

from lockgate.shipping.decode import RequestError
from serving.runtime.sample import KEPT, MOST_BYTES, REACH_SECONDS, First, Sample

DIGEST = "d" * 64


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sample(clock):
    return Sample(DIGEST, clock)


def load(sample, clock, rate, seconds, start=0):
    """Adds so many different requests a second; returns the number of the next one."""
    for number in range(start, start + round(rate * seconds)):
        clock.now += 1 / rate
        sample.add(b"body %d" % number, First(number / 1e6, "x"))
    return start + round(rate * seconds)


def read(sample, query=b""):
    return json.loads(sample.read(query))


def keys(sample):
    return {answer["request"] for answer in read(sample)["answers"]}


def test_an_answer_is_the_hash_of_the_body_the_score_and_the_label(sample):
    sample.add(b"one", First(0.25, "true"))
    sample.add(b"two", First(-3.5, None))
    one, two = (blake2b(body, digest_size=8).hexdigest() for body in (b"one", b"two"))
    assert read(sample) == {
        "digest": DIGEST,
        "next": 2,
        "answers": [
            {"request": one, "score": 0.25, "label": "true"},
            {"request": two, "score": -3.5, "label": None},
        ],
    }


def test_a_reader_gets_each_answer_once_by_the_number_it_was_told(sample, clock):
    seen, after, start = [], 0, 0
    for seconds in (3, 1, 2):
        start = load(sample, clock, 50, seconds, start)
        found = read(sample, b"after=%d" % after)
        seen += [round(answer["score"] * 1e6) for answer in found["answers"]]
        after = found["next"]
        assert read(sample, b"after=%d" % after)["answers"] == []
    assert seen == list(range(300))


def test_a_number_of_a_server_that_has_ended_gives_everything(sample, clock):
    load(sample, clock, 50, 2)
    found = read(sample, b"after=12345")
    assert (len(found["answers"]), found["next"]) == (100, 100)


@pytest.mark.parametrize("after", ["", "x", "-1", "1.5", "1" * 20, "²"])
def test_what_is_no_number_is_refused(sample, after):
    with pytest.raises(RequestError, match="whole number"):
        sample.read(f"after={after}".encode())


def test_under_little_load_every_request_is_kept_and_the_ring_is_bounded(sample, clock):
    load(sample, clock, 150, KEPT / 100)
    found = read(sample)
    assert found["next"] == KEPT * 1.5
    assert len(found["answers"]) == KEPT
    assert round(found["answers"][0]["score"] * 1e6) == KEPT / 2


def test_bodies_that_take_long_to_hash_are_left_out(sample):
    sample.add(b"x" * (MOST_BYTES + 1), First(0.5, "x"))
    assert read(sample)["next"] == 0
    sample.add(b"x" * MOST_BYTES, First(0.5, "x"))
    assert read(sample)["next"] == 1


def test_under_much_load_the_ring_still_reaches_back_and_all_servers_keep_the_same_share(clock):
    """A stable at 3,000 requests/s, and a candidate that gets copies of every tenth of them."""
    stable, candidate = Sample(DIGEST, clock), Sample("e" * 64, clock)
    for number in range(3000 * 40):
        clock.now += 1 / 3000
        body = b"body %d" % number
        stable.add(body, First(number / 1e6, "x"))
        if number % 10 == 0:
            candidate.add(body, First(0.5, "x"))
    kept = read(stable)["answers"]
    assert len(kept) == KEPT
    oldest = kept[0]["score"] * 1e6 / 3000
    assert 40 - oldest >= REACH_SECONDS
    copied = {a["request"] for a in kept if round(a["score"] * 1e6) % 10 == 0}
    assert len(copied) > 300
    assert copied <= keys(candidate)


def test_a_steady_load_has_a_steady_share_and_a_load_that_is_over_leaves_none_behind(sample, clock):
    start = load(sample, clock, 300, 60)
    shares = set()
    for _ in range(20):
        before = read(sample)["next"]
        start = load(sample, clock, 300, 20, start)
        shares.add(round((read(sample)["next"] - before) / 6000, 1))
    assert shares == {0.5}
    start = load(sample, clock, 2000, 30, start)
    start = load(sample, clock, 1, 60, start)
    before = read(sample)["next"]
    load(sample, clock, 1, 60, start)
    assert read(sample)["next"] == before + 60
