"""From counts to intervals: both sides over the same periods, whichever servers come, go or are silent."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from lockgate.rollout.counts import Counts
from lockgate.rollout.seen import Health, Seen
from lockgate.rollout.status import Status
from serving.controller.measure import Look, look
from serving.controller.ports import Counted, FleetSeen, Memory, Rollout, Side
from tests.rollout.world import BEGIN, BOUNDS, CANDIDATE, STABLE, revision, short

READY = Health(state="ready", ready_pods=1)
SEEN = Seen(stable=READY, candidate=READY, routed={STABLE: 75, CANDIDATE: 25})
ROLLOUT = Rollout(
    "tiny",
    "models",
    1,
    short().model_copy(update={"candidate": revision("b")}),
    Status(
        stage="stepping", stable="a" * 64, candidate="b" * 64, step=1, weight=25, started=BEGIN, since=BEGIN
    ),
)


class Servers:
    """What each server has counted so far; `silent` ones cannot be read."""

    def __init__(self) -> None:
        self.counts: dict[Side, dict[str, Counts]] = {"stable": {"s": Counts()}, "candidate": {"c": Counts()}}
        self.silent: set[str] = set()

    def serve(self, answered: int, failed: int = 0) -> None:
        """Each server gets so many requests more."""
        for side in self.counts.values():
            for name in side:
                side[name] += counted(answered, failed)

    def read(self, _: Rollout, __: Mapping[Side, str]) -> Mapping[Side, Counted]:
        found = {}
        for side, servers in self.counts.items():
            unread = tuple(name for name in servers if name in self.silent)
            read = {name: counts for name, counts in servers.items() if name not in self.silent}
            found[side] = Counted(read, failures=tuple(f"{n}: no answer" for n in unread), unread=unread)
        return found

    def pairs(self, *_: object) -> tuple[()]:
        return ()

    losses = pairs


class Looks:
    """One look after another, ten seconds apart."""

    def __init__(self, rollout: Rollout = ROLLOUT) -> None:
        self.servers, self.rollout = Servers(), rollout
        self.now: datetime = BEGIN + timedelta(seconds=30)
        self.memory: Memory | None = None

    def look(self) -> Look:
        self.now += timedelta(seconds=10)
        found = look(self.rollout, self.memory, FleetSeen(READY, READY), SEEN, self.servers, self.now)
        assert found.memory is not None
        self.memory = Memory.model_validate_json(found.memory.model_dump_json())
        return found

    @property
    def ledger(self) -> Any:
        assert self.memory is not None
        return self.memory.ledger


def counted(answered: int, failed: int = 0) -> Counts:
    return Counts(
        codes={"200": answered, "503": failed},
        latency=(answered + failed, 0),
        latency_bounds=(0.1,),
        scores={"": (answered, *(0,) * len(BOUNDS))},
        score_bounds=BOUNDS,
    )


def test_an_outage_of_both_is_not_blamed_on_the_side_of_a_server_that_could_not_be_read_in_it() -> None:
    """That server's counts come later, with those of the outage; the other side's no longer have it."""
    looks = Looks()
    looks.servers.counts["candidate"]["d"] = Counts()
    for _ in range(20):
        looks.servers.serve(100)
        looks.look()
    looks.servers.silent = {"d"}
    looks.servers.serve(40, failed=60)
    looks.look()
    looks.servers.silent = set()
    looks.servers.serve(100)
    looks.look()
    errors = looks.ledger.errors
    assert errors.candidate_k[0] == 60, "of the server that was read"
    assert errors.stable_k[0] == 60
    assert errors.harm_e() < 1
    before = errors.candidate_n
    looks.servers.serve(100)
    looks.look()
    assert looks.ledger.errors.candidate_n == before + 200, "it counts again"


def test_servers_that_are_gone_are_forgotten_and_new_ones_count_from_their_start() -> None:
    looks = Looks()
    looks.look()
    for place in range(50):
        stable = looks.servers.counts["stable"]
        stable.clear()
        stable[f"s{place}"] = Counts()
        looks.servers.serve(10)
        looks.look()
    assert looks.memory is not None
    assert set(looks.memory.servers) == {"s49", "c"}
    assert looks.ledger.errors.stable_n == 500


@pytest.mark.parametrize("silent", ["c", "s", "d", ""])
def test_the_split_is_judged_where_all_servers_were_counted_throughout(silent: str) -> None:
    looks = Looks()
    looks.servers.counts["candidate"]["d"] = Counts()
    looks.servers.counts["stable"]["t"] = Counts()
    looks.look()
    looks.look()
    looks.servers.silent = {silent}
    looks.servers.serve(10)
    looks.look()
    looks.servers.silent = set()
    looks.servers.serve(10)
    looks.look()
    assert looks.ledger.split.total == (0 if silent else 80)
    del looks.servers.counts["candidate"]["d"]
    looks.servers.serve(10)
    looks.look()
    assert looks.ledger.split.total == (0 if silent else 80), (
        "what the lost one has counted last is not known"
    )


def test_it_says_since_when_no_request_came() -> None:
    looks = Looks()
    looks.servers.serve(10)
    looks.look()
    looks.servers.serve(10)
    looks.look()
    since = looks.now
    for _ in range(3):
        found = looks.look()
        assert found.evidence is not None
        assert found.evidence.source.state == "no_traffic"
        assert found.evidence.source.said == f"none since {since:%H:%M:%S} UTC"


def test_under_other_limits_the_evidence_begins_anew_and_under_another_alpha_it_stays() -> None:
    looks = Looks()

    def asked(**analysis: object) -> None:
        spec = looks.rollout.spec
        changed = spec.model_copy(update={"analysis": spec.analysis.model_copy(update=analysis)})
        looks.rollout = Rollout("tiny", "models", 2, changed, looks.rollout.status)
        looks.servers.serve(100)
        looks.look()

    asked()
    asked()
    asked(alpha=0.001, deadline_seconds=9000.0)
    assert looks.ledger.errors.stable_n == 200
    asked(errors=looks.rollout.spec.analysis.errors.model_copy(update={"tolerance": 0.005}))
    assert looks.ledger.errors.stable_n == 0
    asked()
    assert looks.ledger.errors.stable_n == 100


def test_a_first_score_is_no_reason_to_count_the_past_again() -> None:
    before = counted(0, failed=500).model_copy(update={"scores": {}, "score_bounds": ()})
    after = counted(3, failed=500)
    grown = after.since(before)
    assert (grown.requests, grown.errors, sum(grown.latency)) == (3, 0, 3)
    assert sum(grown.scores[""]) == 3
    assert after.since(counted(1, failed=600)) == after, "it began anew"


def test_servers_without_scores_or_with_other_bounds_take_none_from_the_others() -> None:
    some, none = counted(5), counted(0, failed=2).model_copy(update={"scores": {}, "score_bounds": ()})
    for both in (some + none, none + some):
        assert (both.requests, both.errors, sum(both.latency), both.scores) == (7, 2, 7, some.scores)
    newer = counted(4).model_copy(update={"latency": (4, 0, 0), "latency_bounds": (0.1, 0.2)})
    assert (some + newer).requests == 9
    assert ((some + newer).latency, (some + newer).latency_bounds) == ((5, 0), (0.1,))
