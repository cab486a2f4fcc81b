"""What people and others change while a rollout is under way."""

import pytest

from lockgate.errors import ClusterError, DeliveryError
from lockgate.rollout.policy import Step
from lockgate.rollout.resource import Wishes
from tests.rollout.test_loop import ended
from tests.rollout.world import CANDIDATE, STABLE, THIRD, Behaviour, World, short


def at(weight: int, **analysis: object) -> World:
    """A rollout that has come to this weight."""
    return World(short(**analysis)).begin().until(lambda w: w.status.weight == weight)


def stepping(world: World, *weights: int, seconds: float = 20) -> None:
    steps = tuple(Step(weight=weight, seconds=seconds) for weight in weights)
    world.spec = world.spec.model_copy(update={"steps": steps})


@pytest.mark.parametrize(
    ("weights", "following"),
    [((5, 100), [25, 100]), ((1, 5, 10, 20, 30, 40, 100), [25, 30, 40, 100]), ((100,), [25, 100])],
)
def test_steps_that_are_changed_go_on_from_the_weight_that_there_is(
    weights: tuple[int, ...], following: list[int]
) -> None:
    world = at(25)
    stepping(world, *weights)
    seen = [25]

    def note(w: World) -> bool:
        seen.append(w.status.weight)
        return w.status.phase == "Promoted"

    world.until(note)
    assert sorted(set(seen)) == following
    assert seen == sorted(seen)
    assert world.status.history[0].outcome == "Promoted"


def test_a_candidate_is_taken_back_under_steps_that_were_changed() -> None:
    world = at(50)
    stepping(world, 10, 100)
    world.behaviours[CANDIDATE] = Behaviour(errors=0.3)
    world.until(ended)
    assert world.status.history[0].reason == "Errors"


def test_a_rejected_candidate_does_not_begin_again_in_the_place_of_another() -> None:
    world = World(short()).begin()
    world.behaviours[CANDIDATE] = Behaviour(errors=0.5)
    world.until(ended)
    world.want("c").until(lambda w: w.status.weight == 25)
    world.want("b").tick()
    assert world.route == {STABLE: 100}
    assert (world.status.phase, world.status.reason) == ("RolledBack", "Errors")
    assert world.status.message.startswith("revision bbbbbbbb was rolled back before: ")
    assert world.spec.candidate is None
    world.until(ended)
    assert [past.outcome for past in world.status.history] == ["Superseded", "RolledBack"]


def test_a_rejected_candidate_that_comes_again_is_taken_out_again() -> None:
    world = World(short()).begin()
    world.behaviours[CANDIDATE] = Behaviour(errors=0.5)
    world.until(ended)
    told = []
    settle = world.settle
    world.settle = lambda *given: told.append(given[0]) or "Git"  # type: ignore[method-assign]
    world.want("b")
    for _ in range(5):
        world.tick()
        assert world.spec.candidate is not None, "what is committed reaches the cluster later"
    assert told == ["reject"]
    settle("reject", world.read(), world.status)  # type: ignore[arg-type]
    world.tick()
    world.want("b").tick()
    assert told == ["reject", "reject"]
    assert [past.outcome for past in world.status.history] == ["RolledBack"]


def test_during_a_pause_none_begins_in_the_place_of_another() -> None:
    world = at(25)
    world.wishes = Wishes(paused=True)
    world.tick()
    world.want("c").tick()
    assert world.route == {STABLE: 100}
    world.tick()
    assert THIRD not in world.present
    world.wishes = Wishes()
    world.until(lambda w: w.status.weight == 5)
    assert world.status.candidate == "c" * 64


def test_what_was_measured_of_one_rollout_is_not_told_of_the_next() -> None:
    world = World(short())
    stepping(world, 25, 100, seconds=60)
    world.begin().until(lambda w: w.status.observed != "")
    assert world.status.measurements
    assert world.status.observed.startswith("25.0")
    world.want("c").tick()
    assert world.status.phase == "Preparing"
    assert (world.status.measurements, world.status.observed) == ((), "")


def test_the_observed_share_is_that_of_the_wanted_weight_or_none() -> None:
    world = World(short())
    stepping(world, 5, 25, 50, 100, seconds=60)
    world.begin()
    shares = []

    def note(w: World) -> bool:
        if w.status.observed:
            shares.append((w.status.weight, round(float(w.status.observed.split()[0]))))
        return ended(w)

    world.until(note)
    assert set(shares) == {(5, 5), (25, 25), (50, 50)}
    assert world.status.observed == ""


@pytest.mark.parametrize("error", [DeliveryError("A policy refuses it."), ClusterError("No answer.")])
def test_the_way_back_does_not_wait_for_a_stable_revision_that_cannot_be_written(error: Exception) -> None:
    world = at(50)
    world.behaviours[CANDIDATE] = Behaviour(errors=0.5)
    world.refuses, world.refusal = STABLE, error
    while world.status.stage != "rolledBack":
        with pytest.raises(type(error)):
            world.tick()
    assert world.route == {STABLE: 100}


def test_a_promoted_revision_that_the_cluster_refuses_stays() -> None:
    world = World(short()).begin()
    world.settle = lambda *_: "Git"  # type: ignore[method-assign]
    world.until(lambda w: w.status.phase == "Promoted")
    world.refuses = CANDIDATE
    with pytest.raises(DeliveryError):
        world.tick()
    assert (world.route, world.status.phase) == ({CANDIDATE: 100}, "Promoted")
    assert [past.outcome for past in world.status.history] == ["Promoted"]


def test_traffic_rises_when_all_pods_serve_and_what_never_does_goes_back() -> None:
    world = at(25, prepare_seconds=50)
    world.behaviours[CANDIDATE] = Behaviour(is_short=True)
    for _ in range(10):
        world.tick()
        assert world.status.weight == 25
    assert world.status.reason == "NotServing"
    world.behaviours[CANDIDATE] = Behaviour()
    world.until(lambda w: w.status.weight == 50)
    world.behaviours[CANDIDATE] = Behaviour(is_short=True)
    begun = world.now
    world.until(ended)
    assert world.status.history[0].reason == "NotReady"
    assert (world.now - begun).total_seconds() >= 350


def test_a_revision_is_deleted_so_long_after_its_last_request() -> None:
    world = at(25)
    write = world.obeys
    world.obeys = False
    world.behaviours[CANDIDATE] = Behaviour(errors=0.5)
    world.until(lambda w: w.status.stage == "rolledBack")
    for _ in range(10):
        world.tick()
        assert CANDIDATE in world.present
    world.obeys = write
    world.tick()
    since = world.now
    world.until(lambda w: CANDIDATE not in w.present)
    assert (world.now - since).total_seconds() >= 20
