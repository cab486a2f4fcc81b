"""What the bench measures is the product: `decide` on folded intervals says the same at every look."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from bench.rollout.contest import LOCKGATE, Z_TEST, measured
from bench.rollout.ours import POLICY, Ours
from bench.rollout.simulate import ADVANCE, HOLD, ROLL_BACK, Look, run
from bench.rollout.world import BAD, HEALTHY, LOOK, WORLDS, Tables, World
from lockgate.rollout.counts import Interval
from lockgate.rollout.decide import Action, decide, harm
from lockgate.rollout.evidence import Evidence, begin, folded

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
ACTIONS = {Action.HOLD: HOLD, Action.ADVANCE: ADVANCE, Action.ROLL_BACK: ROLL_BACK}
ALPHA = POLICY.analysis.alpha


class Beside:
    """The bench's rule, and beside it the product's for each rollout."""

    def __init__(self, world: World, rollouts: int) -> None:
        self.ours = Ours(world, rollouts)
        self.ledgers = np.array([begin(POLICY, Tables.of(world).before())] * rollouts, dtype=object)
        self.seen: list[int] = []

    def look(self, look: Look) -> Any:
        found = self.ours.look(look)
        against = self.ours.against()
        now = BEGIN + timedelta(seconds=look.live)
        for place, step in enumerate(look.step):
            interval = Interval(
                end=now,
                seconds=LOOK,
                stable=look.stable.counts(place),
                candidate=look.candidate.counts(place),
                weight=POLICY.steps[step].weight,
                is_steady=bool(look.is_steady[place]),
                live_seconds=look.live,
            )
            ledger = self.ledgers[place] = folded(self.ledgers[place], interval, POLICY)
            evidence = Evidence(
                stage="soaking" if step == len(POLICY.steps) - 1 else "stepping",
                step=step,
                since=now - timedelta(seconds=look.passed[place]),
                ledger=ledger,
            )
            decision = decide(POLICY, evidence, now)
            assert ACTIONS[decision.action] == found[place], (look.live, place, decision.reason)
            assert harm(POLICY, ledger)[0] == pytest.approx(against[place], abs=1e-6)
            self.seen.append(int(found[place]))
        return found

    def keep(self, which: Any) -> None:
        self.ours.keep(which)
        self.ledgers = self.ledgers[which]


@pytest.mark.parametrize("name", list(WORLDS))
def test_the_bench_decides_as_the_product_does(name: str) -> None:
    world = WORLDS[name]
    beside = Beside(world, 4 if world.is_healthy else 16)
    outcome = run(world, beside, POLICY, len(beside.ledgers), seed=5)
    assert len(beside.seen) >= 100
    ends = np.isfinite(outcome.promoted) if world.is_healthy else np.isfinite(outcome.back)
    assert ends.any()
    assert {HOLD, ADVANCE if world.is_healthy else ROLL_BACK} <= set(beside.seen)


def test_looking_all_the_time_rolls_back_at_most_alpha_of_the_healthy() -> None:
    rollouts = 300
    ours = [measured(LOCKGATE, world.name, rollouts, seed=11) for world in HEALTHY]
    wrong = sum(int(np.isfinite(outcome.back).sum()) for outcome in ours)
    assert wrong <= binom.ppf(0.999, rollouts * len(HEALTHY), ALPHA)
    assert np.mean([np.isfinite(outcome.promoted).mean() for outcome in ours]) > 0.98
    # The same requests under a test that is meant for one look.
    naive = measured(Z_TEST, HEALTHY[0].name, rollouts, seed=11)
    assert np.isfinite(naive.back).mean() > 10 * ALPHA


@pytest.mark.parametrize(
    ("world", "requests"),
    [("errors2", 5000), ("errors5", 350), ("slow20", 600), ("shift1", 3500), ("shift5", 150)],
)
def test_bad_candidates_go_back_before_they_have_answered_many(world: str, requests: float) -> None:
    """The bounds are about one and a half times what the bench measures."""
    outcome = measured(LOCKGATE, world, 100, seed=12)
    assert np.isfinite(outcome.back).mean() >= 0.97
    assert np.median(outcome.hits) <= requests
    assert world in {bad.name for bad in BAD}
