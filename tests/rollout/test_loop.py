"""The controller's loop on a world in memory: every way that a rollout can end, and cannot."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockgate.rollout.counts import Counts
from lockgate.rollout.policy import Mirror
from lockgate.rollout.resource import Wishes
from serving.controller import failpoints
from tests.rollout.world import CANDIDATE, STABLE, THIRD, Behaviour, World, revision, short

ENDS = ("Promoted", "RolledBack")
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def ended(world: World) -> bool:
    """The last rollout is over, the book knows, and nothing is left to be retired."""
    return world.status.phase in ENDS and world.status.settled and len(world.present) == 1


def test_a_good_candidate_goes_through_every_step_and_the_old_one_is_retired() -> None:
    world = World(short()).begin()
    weights = []
    world.until(lambda w: weights.append(w.status.weight) or ended(w))
    assert sorted(set(weights)) == [0, 5, 25, 50, 100]
    assert weights == sorted(weights)
    assert world.route == {CANDIDATE: 100}
    assert list(world.present) == [CANDIDATE]
    assert world.spec.stable.digest == "b" * 64
    assert world.spec.candidate is None
    assert world.status.history[0].outcome == "Promoted"
    assert [reason for kind, reason, _ in world.events if kind == "Warning"] == []
    assert Counter(reason for _, reason, _ in world.events)["Advanced"] == 4


@pytest.mark.parametrize(
    ("acts", "reason"),
    [
        (Behaviour(errors=0.1), "Errors"),
        (Behaviour(slow=0.5), "Latency"),
        (Behaviour(score=0.9), "Scores"),
        (Behaviour(restarts=2), "Infrastructure"),
        (Behaviour(out_of_memory=("tiny-0",)), "Infrastructure"),
        (Behaviour(health="hopeless"), "NotServing"),
        (Behaviour(health="starting"), "NotReady"),
    ],
)
def test_a_bad_candidate_is_taken_back_with_its_own_reason(acts: Behaviour, reason: str) -> None:
    world = World(short(latency={"warmup_seconds": 0})).begin()
    world.behaviours[CANDIDATE] = acts
    if acts.restarts:
        world.behaviours[CANDIDATE] = Behaviour()
        world.until(lambda w: w.status.phase == "Stepping")
        world.behaviours[CANDIDATE] = acts
    world.until(ended)
    past = world.status.history[0]
    assert (past.outcome, past.reason) == ("RolledBack", reason)
    assert world.route == {STABLE: 100}
    assert world.spec.candidate is None
    assert list(world.present) == [STABLE]


@pytest.mark.parametrize("acts", [Behaviour(errors=0.6, slow=0.9), Behaviour(errors=0.02)])
def test_what_befalls_both_is_held_against_neither(acts: Behaviour) -> None:
    world = World(short(latency={"warmup_seconds": 0})).begin()
    world.until(lambda w: w.status.weight == 25)
    world.behaviours = {STABLE: acts, CANDIDATE: acts}
    for _ in range(12):
        world.tick()
        assert world.status.stage != "rolledBack", world.status.message


def test_a_node_that_is_not_heard_of_is_held_against_neither() -> None:
    world = World(short()).begin()
    world.until(lambda w: w.status.weight == 25)
    world.behaviours = {STABLE: Behaviour(health="starting"), CANDIDATE: Behaviour(health="starting")}
    for _ in range(3):
        world.tick()
        assert world.status.stage == "stepping", world.status.message
    world.behaviours = {}
    world.until(lambda w: w.status.phase == "Promoted")
    assert world.status.history[0].outcome == "Promoted"


@pytest.mark.parametrize(
    ("source", "rate", "reason"),
    [("failing", 100, "MetricsSourceFailing"), ("no_metrics", 100, "NoMetrics"), ("ok", 0, "NoTraffic")],
)
def test_without_data_it_holds_and_goes_back_at_the_deadline(source: str, rate: float, reason: str) -> None:
    world = World(short()).begin()
    world.until(lambda w: w.status.weight == 5)
    world.source, world.rate = source, rate
    world.tick()
    assert world.status.phase == "Holding"
    assert world.status.reason == reason
    begun = world.now
    world.until(ended)
    assert (world.now - begun).total_seconds() >= 250
    past = world.status.history[0]
    assert (past.outcome, past.reason) == ("RolledBack", reason)
    assert past.message.startswith("not enough evidence after 3")


@pytest.mark.parametrize("source", ["ok", "failing"])
def test_what_servers_counted_before_the_rollout_is_no_evidence_even_if_they_were_not_read_then(
    source: str,
) -> None:
    world = World(short())
    world.behaviours[STABLE] = Behaviour(errors=0.5)
    world.until(lambda w: w.status.phase == "Idle")
    world.tick()
    world.tick()
    world.behaviours[STABLE] = Behaviour()
    world.want("b").until(lambda w: w.status.stage == "preparing")
    world.source = source
    world.tick()
    assert world.status.stage == "stepping"
    world.source = "ok"
    world.tick()
    world.tick()
    assert world.memory is not None
    errors = world.memory.ledger.errors
    assert errors.stable_n > 0
    assert errors.stable_k[0] == 0


def test_a_split_that_does_not_follow_stops_the_rollout() -> None:
    world = World(short()).begin()
    world.until(lambda w: w.status.weight == 50)
    served = world.serve

    def other(seconds: float) -> None:
        wanted, world.route = world.route, {STABLE: 95, CANDIDATE: 5}
        served(seconds)
        world.route = wanted

    world.serve = other  # type: ignore[method-assign]
    world.until(ended)
    past = world.status.history[0]
    assert past.reason == "SplitNotFollowed"
    assert ", 50 % are wanted" in past.message


def test_a_candidate_that_fails_under_load_alone_is_found_there() -> None:
    world = World(short()).begin()
    world.until(lambda w: w.status.weight == 50)
    world.behaviours[CANDIDATE] = Behaviour(errors=0.02)
    world.until(ended, looks=12)
    assert world.status.history[0].reason == "Errors"


def test_a_second_candidate_begins_again_at_the_first_step() -> None:
    world = World(short()).begin()
    world.until(lambda w: w.status.weight == 50)
    world.want("c").tick()
    assert world.status.phase == "Preparing"
    assert world.route == {STABLE: 100}, "back to the stable first"
    world.until(ended)
    assert [p.outcome for p in world.status.history] == ["Promoted", "Superseded"]
    assert list(world.present) == [THIRD]


def test_a_pause_holds_its_step_and_its_time_and_a_bad_candidate_goes_all_the_same() -> None:
    world = World(short()).begin()
    world.until(lambda w: w.status.weight == 25)
    world.wishes = Wishes(paused=True)
    for _ in range(60):
        world.tick()
        assert (world.status.phase, world.status.reason, world.status.weight) == ("Holding", "Paused", 25)
    world.wishes = Wishes()
    world.until(lambda w: w.status.weight == 50)
    world.wishes = Wishes(paused=True)
    world.behaviours[CANDIDATE] = Behaviour(errors=0.3)
    world.until(ended)
    assert world.status.history[0].reason == "Errors"


def test_by_hand_it_is_promoted_or_aborted_and_only_the_candidate_that_was_meant() -> None:
    world = World(short()).begin()
    world.wishes = Wishes(promote=THIRD, abort="cccccccc")
    world.until(lambda w: w.status.weight == 5)
    world.wishes = Wishes(promote=CANDIDATE)
    world.until(ended)
    assert world.status.history[0].reason == "PromotedByHand"
    world.want("c")
    world.until(lambda w: w.status.weight == 5)
    world.wishes = Wishes(abort=THIRD)
    world.until(ended)
    assert world.status.history[0].reason == "Aborted"
    assert world.route == {CANDIDATE: 100}


def test_a_rejected_candidate_is_not_tried_again_unless_asked_for() -> None:
    world = World(short()).begin()
    world.behaviours[CANDIDATE] = Behaviour(errors=0.5)
    world.until(ended)
    world.want("b")
    for _ in range(5):
        world.tick()
        assert world.route == {STABLE: 100}
    assert len(world.status.history) == 1
    world.behaviours[CANDIDATE] = Behaviour()
    world.want("b")
    world.wishes = Wishes(retry="again")
    world.until(lambda w: ended(w) and len(w.status.history) == 2)
    assert world.status.history[0].outcome == "Promoted"


def test_a_candidate_that_somebody_deletes_is_taken_back_and_an_edited_route_is_repaired() -> None:
    world = World(short()).begin()
    world.until(lambda w: w.status.weight == 25)
    world.route, world.edited_by = {STABLE: 10, CANDIDATE: 90}, "somebody"
    world.tick()
    assert world.route == {STABLE: 75, CANDIDATE: 25}
    assert ("Warning", "RouteRepaired", "the route was changed by somebody; it is put back") in world.events
    del world.present[CANDIDATE]
    world.until(ended)
    assert world.status.history[0].reason == "CandidateGone"


def test_a_candidate_that_the_cluster_refuses_is_taken_back() -> None:
    world = World(short()).begin()
    world.refuses = CANDIDATE
    world.until(ended)
    assert world.status.history[0].reason == "Refused"


def test_a_cluster_that_is_built_again_serves_the_stable_and_begins_at_the_first_step() -> None:
    before = World(short()).begin()
    before.until(lambda w: w.status.weight == 50)
    after = World(before.spec)
    weights = []
    after.until(lambda w: weights.append((w.route or {}).get(CANDIDATE, 0)) or w.status.weight == 25)
    assert sorted(set(weights)) == [0, 5, 25]


def test_another_stable_revision_is_brought_in_before_the_old_one_goes() -> None:
    world = World(short())
    world.until(lambda w: w.status.phase == "Idle")
    world.behaviours[THIRD] = Behaviour(health="starting")
    world.spec = world.spec.model_copy(update={"stable": revision("c")})
    for _ in range(3):
        world.tick()
        assert world.route == {STABLE: 100}
    world.behaviours[THIRD] = Behaviour()
    world.until(lambda w: w.route == {THIRD: 100} and list(w.present) == [THIRD])


def test_a_spec_that_takes_a_promotion_back_after_it_was_settled_is_followed() -> None:
    world = World(short()).begin()
    lagging = world.spec  # as of Git: what is committed reaches the cluster later
    world.settle = lambda *_: "Git"  # type: ignore[method-assign]
    world.until(lambda w: w.status.phase == "Promoted" and w.status.settled)
    for _ in range(5):
        world.tick()
        assert (world.route, world.status.phase) == ({CANDIDATE: 100}, "Promoted")
    world.spec = lagging.model_copy(update={"candidate": None})
    world.until(lambda w: w.route == {STABLE: 100} and list(w.present) == [STABLE])
    assert [past.outcome for past in world.status.history] == ["Withdrawn", "Promoted"]


def test_mirrored_requests_come_first_where_the_gateway_can_and_disagreement_ends_it() -> None:
    world = World(short().model_copy(update={"mirror": Mirror(percent=20, seconds=20)}), mirrors=True).begin()
    world.until(lambda w: w.status.phase == "Mirroring")
    assert world.mirror == (CANDIDATE, 20)
    assert world.route == {STABLE: 100}
    world.until(lambda w: w.status.phase == "Soaking")
    assert world.mirror == (STABLE, 20), "the soak compares with copies to the old one"
    world.until(ended)
    world.want("c")
    world.pairs_alike = False
    world.until(ended)
    assert world.status.history[0].reason == "Agreement"
    assert world.status.history[0].weight == 0


class Crash(Exception):
    """The controller is gone."""


@pytest.mark.parametrize("acts", [Behaviour(), Behaviour(errors=0.2)], ids=["good", "bad"])
def test_a_crash_at_any_write_changes_nothing_about_the_end(
    acts: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each write of a whole rollout, before and after it: the run that died there comes to the same end."""

    def run(dies_at: int) -> tuple[World, int]:
        reached = 0

        def reach(point: str) -> None:
            nonlocal reached
            reached += 1
            if reached == dies_at:
                raise Crash

        monkeypatch.setattr(failpoints, "reach", reach)
        world = World(short())
        crashes = 0
        for _ in range(300):
            try:
                if world.status.phase == "Idle" and world.spec.candidate is None and not world.status.history:
                    world.want("b")
                    world.behaviours[CANDIDATE] = acts
                world.tick()
            except Crash:
                crashes += 1
            assert world.route is None or sum(world.route.values()) == 100
            if ended(world) and world.status.history:
                break
        assert crashes == (1 if dies_at else 0)
        return world, reached

    whole, writes = run(0)
    assert writes > 50
    for place in range(1, writes + 1):
        world, _ = run(place)
        assert ended(world), f"died at {place}: {world.status.phase} {world.status.message}"
        assert (world.route, world.spec, set(world.present)) == (whole.route, whole.spec, set(whole.present))
        assert [p.outcome for p in world.status.history] == [p.outcome for p in whole.status.history]


MOODS = st.fixed_dictionaries(
    {
        "errors": st.sampled_from([0.0, 0.0, 0.01, 0.2, 1.0]),
        "slow": st.sampled_from([0.0, 0.0, 0.1, 1.0]),
        "score": st.sampled_from([0.45, 0.45, 0.5, 0.95]),
        "health": st.sampled_from(["ready"] * 6 + ["starting", "hopeless"]),
    }
)
HAPPENINGS = st.lists(
    st.tuples(
        MOODS, MOODS, st.sampled_from([0, 1, 30, 300]),
        st.sampled_from(["ok", "ok", "ok", "failing", "no_metrics"]), st.booleans(),
    ),
    min_size=1, max_size=12,
)  # fmt: skip


@QUICK
@given(HAPPENINGS)
def test_whatever_happens_weights_add_up_never_exceed_the_step_and_every_path_ends(happenings: list) -> None:
    world = World(short(deadline_seconds=60))
    world.begin()
    answered = 0
    for look in range(250):
        stable, candidate, rate, source, edits = happenings[look % len(happenings)]
        world.behaviours[STABLE] = Behaviour(**{**stable, "health": "ready"})
        world.behaviours[CANDIDATE] = Behaviour(**candidate)
        world.rate, world.source = rate, source
        if edits and world.route and CANDIDATE in world.route:
            world.route, world.edited_by = {STABLE: 50, CANDIDATE: 50}, "somebody"
        world.tick()
        assert world.route is not None
        assert sum(world.route.values()) == 100
        share = world.route.get(CANDIDATE, 0)
        assert share <= world.status.weight
        if world.status.step >= 0 and world.status.stage in ("stepping", "soaking"):
            assert share == world.spec.steps[world.status.step].weight
        answered = max(answered, world.counts.get(CANDIDATE, Counts()).requests)
        if world.status.phase in ENDS:
            break
    assert world.status.phase in ENDS
    if world.status.phase == "Promoted":
        assert answered > 0, "no success without data"


@QUICK
@given(st.lists(st.sampled_from([0, 0, 200]), min_size=40, max_size=40))
def test_no_success_without_requests_to_the_candidate(rates: list[int]) -> None:
    world = World(short(deadline_seconds=100)).begin()
    served = world.serve
    world.serve = lambda seconds: served(seconds) if world.status.weight < 5 else None  # type: ignore[method-assign]
    for rate in rates:
        world.rate = rate
        world.tick()
        assert world.status.phase != "Promoted"
