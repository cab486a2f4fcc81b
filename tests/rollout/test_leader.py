"""One leader among several controllers, with a clock that tests move."""

import pytest

from lockgate.errors import ClusterError
from serving.controller.leader import Held, Leader


class Place:
    """A lock in memory, as the API server has it: each write makes a new version."""

    def __init__(self) -> None:
        self.held: Held | None = None
        self.is_gone = False
        self.version = 0

    def read(self) -> Held | None:
        if self.is_gone:
            raise ClusterError("The API does not answer.")
        return self.held

    def take(self, holder: str, seconds: float, before: Held | None) -> Held | None:
        if self.is_gone:
            raise ClusterError("The API does not answer.")
        if before != self.held:
            return None
        self.version += 1
        self.held = Held(holder, seconds, str(self.version))
        return self.held


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def place() -> Place:
    return Place()


def pair(place: Place, clock: Clock) -> tuple[Leader, Leader]:
    return Leader(place, "first", clock), Leader(place, "second", clock)


def test_the_first_leads_as_long_as_it_renews(place: Place, clock: Clock) -> None:
    first, second = pair(place, clock)
    for _ in range(20):
        assert first.step()
        assert not second.step()
        assert not second.is_leading
        clock.now += first.pause


def test_the_other_takes_over_only_after_the_leader_has_stopped_acting(place: Place, clock: Clock) -> None:
    first, second = pair(place, clock)
    first.step()
    second.step()
    while not second.step():
        assert clock.now < 200, "it never takes over"
        clock.now += 1.0
        assert not (first.is_leading and second.is_leading)
    assert clock.now == 115.0
    assert not first.is_leading
    with pytest.raises(ClusterError, match="leads no longer"):
        first.check()
    second.check()


def test_an_old_leader_that_comes_back_follows(place: Place, clock: Clock) -> None:
    first, second = pair(place, clock)
    first.step()
    second.step()
    clock.now += 16
    assert second.step()
    assert not first.step()
    assert second.step()


def test_a_leader_that_cannot_reach_the_lease_stops_in_time(place: Place, clock: Clock) -> None:
    first, _ = pair(place, clock)
    first.step()
    place.is_gone = True
    clock.now += 9.9
    with pytest.raises(ClusterError):
        first.step()
    first.check()
    clock.now += 0.2
    assert not first.is_leading
    place.is_gone = False
    assert first.step(), "nobody else has taken it"


def test_two_that_ask_at_once_do_not_both_get_it(place: Place, clock: Clock) -> None:
    first, second = pair(place, clock)
    before = place.read()
    assert place.take("first", 15, before) is not None
    assert place.take("second", 15, before) is None
    assert first.step()
    assert not second.step()


def test_a_released_lease_is_taken_at_once(place: Place, clock: Clock) -> None:
    first, second = pair(place, clock)
    first.step()
    second.step()
    first.release()
    assert not first.is_leading
    assert second.step()
    first.release()
    assert second.step(), "only its holder gives it up"


def test_a_leader_whose_renewal_was_slow_counts_from_when_it_asked(place: Place, clock: Clock) -> None:
    class Slow(Place):
        def take(self, holder: str, seconds: float, before: Held | None) -> Held | None:
            clock.now += 12
            return super().take(holder, seconds, before)

    first = Leader(Slow(), "first", clock)
    assert not first.step(), "others may have seen the lease 12 s ago"
