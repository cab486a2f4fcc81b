"""Lockgate's rule on many rollouts at once: the same formulas that the product folds one rollout with.

`tests/rollout/test_bench_agrees.py` holds it to `decide` itself, look by look.
"""

import math
from typing import Any

import numpy as np

from bench.rollout.simulate import ADVANCE, HOLD, ROLL_BACK, Look
from bench.rollout.world import Tables, World
from lockgate.rollout import evidence
from lockgate.rollout.decide import DOUBT, pooled
from lockgate.rollout.measures import errors, latency, scores, split
from lockgate.rollout.policy import Policy
from lockgate.rollout.ranks import log_e_moved
from lockgate.rollout.shares import Shares, begun, harm_logs, log_since, margins, relearned, safe_logs
from lockgate.rollout.twosample import Floats
from serving.runtime.metrics import SECONDS

# The candidate and the stable are the same, or differ by what the bench is to find. So nothing is tolerated,
# the scores' margin is below their smallest difference, and the latency's limit is near where latencies are.
# Requests are not mirrored, and no labels come.
POLICY = Policy.model_validate(
    {
        "mirror": {"percent": 0},
        "analysis": {
            "measures": ("errors", "latency", "scores"),
            "latency": {"tolerance": 0.0, "limit_ms": 75},
            "scores": {"tolerance": 0.0, "margin": 0.03},
        },
    }
)


def grown(rows: Floats, step: Any, logs: Floats) -> Floats:
    """`lockgate.rollout.shares.since` of many rollouts: rows are [rollouts, steps, alternatives]."""
    return rows + begun(rows.shape[1], step)[:, :, None] * logs[:, None, :]


class Many:
    """`lockgate.rollout.shares.Shares` of many rollouts: [rollouts, …] in place of each of its tuples."""

    def __init__(self, first: Shares, rollouts: int, limits: Any, effects: Any, both: bool, policy: Policy):
        """`first` is of a rollout that begins; `limits` has the measure's tolerance and margin."""
        self.harm, self.safe, self.level = (
            np.repeat(np.asarray(value)[None], rollouts, axis=0)
            for value in (first.harm, first.safe, first.level)
        )
        self.level_n = np.full(rollouts, first.level_n)
        self._tolerance, self._effects, self._both = limits.tolerance, effects, both
        self._margins = margins(limits.margin, policy.carried)

    def add(self, step: Any, n_s: Any, k_s: Any, n_c: Any, k_c: Any) -> None:
        """One more block of counts, of each rollout's step; hits are [rollouts, shares]."""
        harm = harm_logs(n_c, k_c, n_s, k_s, self.level, self._tolerance, self._effects, self._both)
        self.harm = grown(self.harm, step, harm)
        # Weights that no rollout has before it any more are left out, to save time.
        ahead = slice(min(int(step.min()) + 1, len(self._margins) - 1), None)
        self.safe[:, ahead] += safe_logs(n_c, k_c, n_s, k_s, self.level, self._margins[ahead], self._both)
        self.level, self.level_n = relearned(self.level, self.level_n, n_s, k_s)

    def harm_e(self) -> Floats:
        """As of `Shares`, one a rollout."""
        return log_since(self.harm)

    def safe_e(self, step: Any) -> Floats:
        """As of `Shares`, one a rollout, each for its own step."""
        return np.take_along_axis(self.safe, step[:, None, None], axis=1)[:, 0].min(axis=-1)

    def keep(self, which: Any) -> None:
        """Forgets all rollouts but these."""
        self.harm, self.safe = self.harm[which], self.safe[which]
        self.level, self.level_n = self.level[which], self.level_n[which]


class Ours:
    """Lockgate's rule (`bench.rollout.simulate.Rule`)."""

    def __init__(self, world: World, rollouts: int, policy: Policy = POLICY) -> None:
        self.policy = policy
        analysis, first = policy.analysis, evidence.begin(policy, Tables.of(world).before())
        assert first.scores is not None
        self.over = SECONDS.index(first.seconds) + 1
        self.errors = Many(first.errors, rollouts, analysis.errors, errors.EFFECTS, False, policy)
        self.latency = Many(first.latency, rollouts, analysis.latency, latency.EFFECTS, False, policy)
        self.scores = Many(first.scores, rollouts, analysis.scores, scores.EFFECTS, True, policy)
        self.moved = np.zeros((rollouts, *np.shape(first.scores.moved)))
        self.split = np.zeros((rollouts, *np.shape(first.split.logs)))
        self.soak = np.zeros((rollouts, 2))
        self.seen = np.zeros(rollouts)
        self._weights = np.array(policy.carried)

    def look(self, look: Look) -> Any:
        """What `lockgate.rollout.decide` says of each rollout."""
        self._fold(look)
        analysis = self.policy.analysis
        against = self.against()
        bad = against >= -math.log(analysis.alpha)
        soaks = look.step == len(self._weights) - 1
        lacks = self._lacks(look.step, soaks) | (~soaks & (against >= math.log(DOUBT)))
        least = np.array([step.seconds for step in self.policy.steps])[look.step]
        least = np.where(soaks, np.maximum(analysis.soak_seconds, least), least)
        late = lacks & (look.passed >= analysis.deadline_seconds)
        goes = ~lacks & (look.passed >= least)
        return np.where(bad | late, ROLL_BACK, np.where(goes, ADVANCE, HOLD))

    def against(self) -> Floats:
        """The logarithm of each rollout's e-value against "within every tolerance"."""
        both = scores.mixed(self.scores.harm_e(), log_since(self.moved))
        measures = (self.errors.harm_e(), self.latency.harm_e(), both)
        return pooled(np.stack(measures, axis=-1), log_since(self.split))

    def keep(self, which: Any) -> None:
        """Forgets all rollouts but these."""
        for many in (self.errors, self.latency, self.scores):
            many.keep(which)
        self.moved, self.split = self.moved[which], self.split[which]
        self.soak, self.seen = self.soak[which], self.seen[which]

    def _lacks(self, step: Any, soaks: Any) -> Any:
        wanted = -math.log(1 - self.policy.analysis.power)
        following = np.minimum(step + 1, len(self._weights) - 1)
        measures = (self.errors, self.latency, self.scores)
        fine = np.min([many.safe_e(following) for many in measures], axis=0) >= wanted
        return (self.seen == 0) | np.where(soaks, self.soak.min(axis=1) < wanted, ~fine)

    def _fold(self, look: Look) -> None:
        stable, candidate, analysis = look.stable, look.candidate, self.policy.analysis
        slow_s, slow_c = (side.latency[:, self.over :].sum(axis=1) for side in (stable, candidate))
        soaks = look.step == len(self._weights) - 1
        # As in the product, the soak is held to what was known before its own look.
        pairs = (
            (self.errors.level[:, 0], candidate.errors, analysis.errors.margin),
            (self.latency.level[:, 0], slow_c, analysis.latency.margin),
        )
        for place, (level, hits, margin) in enumerate(pairs):
            now = evidence.soaked(self.soak[:, place], candidate.n, hits, level, margin)
            self.soak[:, place] = np.where(soaks, now, 0.0)
        self.errors.add(look.step, stable.n, stable.errors[:, None], candidate.n, candidate.errors[:, None])
        if look.live > analysis.latency.warmup_seconds:
            self.latency.add(look.step, stable.n, slow_s[:, None], candidate.n, slow_c[:, None])
        below_s, below_c = (np.cumsum(side.scores, axis=1)[:, :-2] for side in (stable, candidate))
        trials_s, trials_c = stable.scores.sum(axis=1), candidate.scores.sum(axis=1)
        level = self.scores.level
        moved = log_e_moved(trials_c, below_c, trials_s, below_s, level, analysis.scores.tolerance)
        self.moved = grown(self.moved, look.step, moved)
        self.scores.add(look.step, trials_s, below_s, trials_c, below_c)
        self._fold_split(look)

    def _fold_split(self, look: Look) -> None:
        n = look.stable.n + look.candidate.n
        share = self._weights[look.step] / 100
        logs = split.log_e_split(
            n, look.candidate.n, np.minimum(share, 0.99), self.policy.analysis.split_tolerance
        )
        counts = look.is_steady & (share < 1) & (n > 0)
        self.split = grown(self.split, look.step, np.where(counts[:, None], logs, 0.0))
        began = look.passed <= self.policy.analysis.interval_seconds
        self.seen = np.where(began, 0, self.seen) + look.candidate.n


class Noted(Ours):
    """The rule, but for the rollback: what the largest evidence against each candidate has been."""

    def __init__(self, world: World, rollouts: int, policy: Policy = POLICY) -> None:
        super().__init__(world, rollouts, policy)
        self.largest = np.full(rollouts, -np.inf)
        self._here = np.arange(rollouts)

    def look(self, look: Look) -> Any:
        """As ours, without a rollback for evidence; from the deadline's there is none to tell it from."""
        action = super().look(look)
        self.largest[self._here] = np.maximum(self.largest[self._here], self.against())
        return np.where(action == ROLL_BACK, HOLD, action)

    def keep(self, which: Any) -> None:
        """Forgets all rollouts but these, not what was noted of the others."""
        super().keep(which)
        self._here = self._here[which]
