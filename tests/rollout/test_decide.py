"""`decide` on every kind of evidence: one answer each, with its reason, whatever the numbers."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.rollout.counts import Counts, Interval, Pair
from lockgate.rollout.decide import Action, Code, Decision, decide
from lockgate.rollout.evidence import Evidence, Ledger, Source, begin, folded
from lockgate.rollout.measures.infrastructure import Pods
from lockgate.rollout.policy import Agreement, Analysis, Mirror, Policy, Step
from lockgate.rollout.readings import odds

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
BOUNDS, SECONDS = (0.25, 0.5, 0.75, 1.0), (0.01, 0.1)
POLICY = Policy(
    steps=tuple(Step(weight=w, seconds=30) for w in (10, 50, 100)),
    mirror=Mirror(seconds=30),
    analysis=Analysis(deadline_seconds=600, soak_seconds=60),
)


def counts(n: int, failed: int = 0, slow: int = 0, low: int | None = None) -> Counts:
    """Of n requests so many failed, were slow, and had a low score (half of them where it is not said)."""
    answered = n - failed
    low = answered // 2 if low is None else low
    return Counts(
        codes={"200": answered, "503": failed},
        latency=(n - slow, 0, slow),
        latency_bounds=SECONDS,
        scores={"": (low, 0, answered - low, 0, 0)},
        score_bounds=BOUNDS,
    )


def interval(stable: Counts, candidate: Counts, weight: int = 10, **more: object) -> Interval:
    given = {"end": BEGIN, "seconds": 10.0, "live_seconds": 1000.0, "weight": weight, **more}
    return Interval.model_validate({**given, "stable": stable, "candidate": candidate})


def judged(*intervals: Interval, passed: float = 100, policy: Policy = POLICY, **more: object) -> Decision:
    """The decision at the first step after these intervals, `passed` seconds after it began."""
    ledger = begin(policy, counts(1000))
    for each in intervals:
        ledger = folded(ledger, each, policy)
    given = {"stage": "stepping", "step": 0, "since": BEGIN, "ledger": ledger, **more}
    return decide(policy, Evidence.model_validate(given), BEGIN + timedelta(seconds=passed))


FINE = interval(counts(9000), counts(1000))


@pytest.mark.parametrize(
    ("intervals", "passed", "more", "action", "code"),
    [
        ([FINE], 100, {}, Action.ADVANCE, Code.FINE),
        ([FINE], 10, {}, Action.HOLD, Code.MINIMUM_TIME),
        ([], 100, {}, Action.HOLD, Code.NOT_ENOUGH),
        ([], 600, {}, Action.ROLL_BACK, Code.NOT_ENOUGH),
        ([interval(counts(9000), counts(1000, failed=50))], 10, {}, Action.ROLL_BACK, Code.ERRORS),
        ([interval(counts(9000, failed=450), counts(1000, failed=50))], 10, {}, Action.HOLD, Code.NOT_ENOUGH),
        ([interval(counts(9000), counts(1000, slow=300))], 10, {}, Action.ROLL_BACK, Code.LATENCY),
        ([interval(counts(9000), counts(1000, low=900))], 10, {}, Action.ROLL_BACK, Code.SCORES),
        ([interval(counts(9000), counts(1000), losses=(0.5,) * 200)], 10, {}, Action.ROLL_BACK, Code.LABELS),
        (
            [interval(counts(9000), counts(1000), pairs=(Pair(difference=0.9, is_alike=False),) * 40)],
            10, {}, Action.ROLL_BACK, Code.AGREEMENT,
        ),
        ([interval(counts(5000), counts(5000), is_steady=True)], 100, {}, Action.ROLL_BACK, Code.SPLIT),
        ([FINE], 100, {"pods": Pods(out_of_memory=("a",))}, Action.ROLL_BACK, Code.INFRASTRUCTURE),
        ([FINE], 100, {"pods": Pods(restarts={"candidate": 2})}, Action.ROLL_BACK, Code.INFRASTRUCTURE),
        ([FINE], 100, {"pods": Pods(restarts={"candidate": 2, "stable": 2})}, Action.ADVANCE, Code.FINE),
        ([FINE], 100, {"pods": Pods(memory=0.97, memory_looks=3)}, Action.ROLL_BACK, Code.INFRASTRUCTURE),
        ([FINE], 100, {"source": Source(state="no_traffic")}, Action.HOLD, Code.NO_TRAFFIC),
        ([FINE], 100, {"source": Source(state="no_metrics")}, Action.HOLD, Code.NO_METRICS),
        ([FINE], 100, {"source": Source(state="failing")}, Action.HOLD, Code.SOURCE_FAILING),
        ([FINE], 600, {"source": Source(state="failing")}, Action.ROLL_BACK, Code.SOURCE_FAILING),
        ([FINE], 600, {"source": Source(state="no_traffic")}, Action.ROLL_BACK, Code.NO_TRAFFIC),
    ],
)  # fmt: skip
def test_each_kind_of_evidence_has_its_answer(
    intervals: list[Interval], passed: float, more: dict[str, object], action: Action, code: Code
) -> None:
    found = judged(*intervals, passed=passed, **more)
    assert (found.action, found.code) == (action, code), found.reason
    assert found.reason


def test_reasons_have_numbers_and_limits() -> None:
    found = judged(interval(counts(9000, failed=9), counts(1000, failed=50)))
    assert found.reason.startswith(
        "5.00% of the requests failed (50 of 1,000), 0.10% of the stable's (9 of 9,000)"
    )
    assert found.reason.endswith("the limit is 100 to 1")
    late = judged(passed=700)
    assert late.reason.startswith("not enough evidence after 700 s at 10 %, where 600 s are allowed")


@pytest.mark.parametrize(
    ("log", "beside", "said"),
    [
        (math.log(9.96), math.log(10), "9.96"), (math.log(9.9996), math.log(10), "9.9996"),
        (math.log(99.8), math.log(100), "99.8"), (math.log(3.14159), math.log(10), "3.1"),
        (math.log(10), math.log(10), "10"), (math.log(1234.4), None, "1,234"),
        (1e5, math.log(100), "over a million"),
    ],
)  # fmt: skip
def test_odds_have_the_digits_that_tell_them_from_those_that_are_needed(
    log: float, beside: float | None, said: str
) -> None:
    assert odds(log, beside) == said


def test_the_evidence_carries_a_small_step_before_a_large_one() -> None:
    """The margin is what the whole service may lose: 300 requests carry 50 % here, and not yet 100 %."""
    few = [interval(counts(2700), counts(300), live_seconds=1000)]
    assert judged(*few).action is Action.ADVANCE
    at_half = [interval(counts(150), counts(150), weight=50)]
    assert judged(*at_half, step=1).code is Code.NOT_ENOUGH


def test_what_is_in_doubt_gets_no_more_requests() -> None:
    """The evidence for the next weight is there, and a look speaks against the candidate."""
    usual = interval(counts(900, failed=9), counts(100, failed=1))
    odd = interval(counts(900, failed=9), counts(100, failed=20))
    assert judged(*[usual] * 20).action is Action.ADVANCE
    found = judged(*[usual] * 20, odd)
    assert (found.action, found.code) == (Action.HOLD, Code.NOT_ENOUGH)
    assert found.reason.endswith("above 3 to 1 no step follows")


def test_a_shared_outage_that_is_over_does_not_hold_up_a_good_candidate() -> None:
    """No look undoes all that was shown, and the stable's share is learned anew where it jumps."""
    usual = interval(counts(900, failed=9), counts(100, failed=1))
    outage = interval(counts(900, failed=540), counts(100, failed=60))
    assert judged(*[usual] * 10, *[outage] * 6).code is Code.NOT_ENOUGH
    assert judged(*[usual] * 10, *[outage] * 6, *[usual] * 30).action is Action.ADVANCE


def test_a_soak_without_stable_requests_waits_for_a_shared_fault_to_end() -> None:
    def soak(failed: int) -> Interval:
        return interval(counts(0), counts(1000, failed=failed), weight=100)

    before = [interval(counts(9000), counts(1000))]
    more = {"stage": "soaking", "step": 2}
    assert judged(*before, soak(0), **more).action is Action.ADVANCE
    assert judged(*before, soak(0), soak(600), **more).code is Code.NOT_ENOUGH
    assert judged(*before, soak(600), soak(0), **more).action is Action.ADVANCE
    assert judged(*before, soak(600), passed=600, **more).action is Action.ROLL_BACK


def test_a_soak_that_began_in_an_outage_ends_after_it() -> None:
    """All of the stable's last requests were slow: what the candidate does afterwards is better than that."""
    usual, outage = interval(counts(900), counts(100)), interval(counts(900, slow=900), counts(100, slow=100))
    soak, still = (interval(counts(0), counts(1000, slow=slow), weight=100) for slow in (5, 1000))
    more = {"stage": "soaking", "step": 2}
    assert judged(*[usual] * 5, outage, outage, still, **more).code is Code.NOT_ENOUGH
    assert judged(*[usual] * 5, outage, outage, still, soak, **more).action is Action.ADVANCE


def test_mirroring_waits_for_enough_requests_with_two_answers() -> None:
    pairs = (Pair(difference=0.01, is_alike=True),)
    policy = POLICY.model_copy(update={"analysis": Analysis(agreement=Agreement(requests=50))})
    more = {"stage": "mirroring", "step": -1, "policy": policy}
    few = interval(counts(900), counts(100), weight=0, pairs=pairs * 49)
    enough = interval(counts(900), counts(100), weight=0, pairs=pairs * 50)
    assert judged(few, **more).reason == "49 of 50 mirrored requests have two answers"
    assert judged(enough, **more).action is Action.ADVANCE


BLOCKS = st.builds(
    lambda n_s, n_c, bad_s, bad_c, weight, steady: interval(
        counts(n_s, failed=round(n_s * bad_s), slow=round(n_s * bad_s)),
        counts(n_c, failed=round(n_c * bad_c), slow=round(n_c * bad_c)),
        weight=weight, is_steady=steady,
    ),
    st.integers(0, 5000), st.integers(0, 5000), st.floats(0, 1), st.floats(0, 1),
    st.sampled_from([0, 10, 50, 100]), st.booleans(),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(
    blocks=st.lists(BLOCKS, max_size=6),
    passed=st.floats(0, 2000),
    place=st.sampled_from([("mirroring", -1), ("stepping", 0), ("stepping", 1), ("soaking", 2)]),
    source=st.sampled_from(["ok", "no_traffic", "no_metrics", "failing"]),
)
def test_it_always_answers_and_never_advances_without_time_data_and_traffic(
    blocks: list[Interval], passed: float, place: tuple[str, int], source: str
) -> None:
    more = {"stage": place[0], "step": place[1], "source": Source(state=source)}
    found = judged(*blocks, passed=passed, **more)
    assert found == judged(*blocks, passed=passed, **more), "the same evidence, the same answer"
    if found.action is Action.ADVANCE:
        assert source == "ok"
        assert passed >= 30
        assert any(block.candidate.requests for block in blocks) or place[0] == "mirroring"
    if found.action is Action.HOLD and found.code is not Code.MINIMUM_TIME:
        assert passed < 600


@settings(max_examples=50, deadline=None)
@given(st.lists(BLOCKS, max_size=5))
def test_a_ledger_that_was_kept_and_read_again_is_the_same(blocks: list[Interval]) -> None:
    ledger = begin(POLICY, counts(1000))
    for block in blocks:
        ledger = folded(ledger, block, POLICY)
    assert Ledger.model_validate_json(ledger.model_dump_json()) == ledger
