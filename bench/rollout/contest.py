"""Who is compared: Lockgate's rule and the field's, as documented and with limits calibrated to α."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.rollout import calibrate, rivals
from bench.rollout.ours import POLICY, Noted, Ours
from bench.rollout.simulate import Outcome, Rule, run
from bench.rollout.world import SCORE_SHARES, WORLDS, World
from lockgate.rollout.policy import Policy
from lockgate.rollout.twosample import Floats

NONE = (np.inf, np.inf, np.inf)


@dataclass(frozen=True)
class Contestant:
    """A rule with its parameters.

    `limits` are the rivals' on errors, latency and scores; `alpha`, `limit_ms` and `margin` (of the latency)
    are ours. `seconds` is the least time of a step. `warmup`: of the latency, in seconds. `least`, `points`,
    `every`: see `ZTest` and `MannWhitney`.
    """

    title: str
    kind: Literal["ours", "points", "z", "ranks"]
    limits: tuple[float, ...] = NONE
    alpha: float = POLICY.analysis.alpha
    limit_ms: float | None = POLICY.analysis.latency.limit_ms
    margin: float = POLICY.analysis.latency.margin
    seconds: float = 60.0
    fails: int = 1
    together: bool = False
    warmup: float = 0.0
    least: int = 0
    points: int = 50
    every: int = 50

    @property
    def policy(self) -> Policy:
        """The bench's, with this rule's time, α and latency."""
        steps = tuple(step.model_copy(update={"seconds": self.seconds}) for step in POLICY.steps)
        own = {"limit_ms": self.limit_ms, "margin": self.margin}
        latency = POLICY.analysis.latency.model_copy(update=own)
        analysis = POLICY.analysis.model_copy(update={"alpha": self.alpha, "latency": latency})
        return POLICY.model_copy(update={"steps": steps, "analysis": analysis})

    def rule(self, world: World, rollouts: int) -> Rule:
        """A fresh one for so many rollouts."""
        if self.kind == "ours":
            return Ours(world, rollouts, self.policy)
        return rivals.Judged(
            self.statistic(world), self.limits, self.policy, fails=self.fails, together=self.together
        )

    def statistic(self, world: World) -> rivals.Statistic:
        """What a rival goes by."""
        match self.kind:
            case "points":
                return rivals.Points(float(SCORE_SHARES @ rivals.SCORES), self.warmup)
            case "z":
                return rivals.ZTest(Ours(world, 1).over, self.warmup, self.least)
            case _:
                return rivals.MannWhitney(self.points, self.every, self.warmup)


LOCKGATE = Contestant("Lockgate", "ours")
# The limit as it is where the policy names none: the first bound that 95 % of the stable's requests keep to.
DEFAULT_LIMIT = Contestant("Lockgate, latency's default limit (100 ms)", "ours", limit_ms=None, margin=0.02)
# Flagger's tutorials: success of at least 99 %, p99 of at most 500 ms, once a minute; 5 failed checks.
FLAGGER = Contestant(
    "point thresholds: Flagger's tutorial", "points", (0.01, 0.5, np.inf), fails=5, together=True
)
# Argo Rollouts' documentation: success of at least 95 %, once a minute, three failures.
ARGO = Contestant("point thresholds: Argo Rollouts' documentation", "points", (0.05, np.inf, np.inf), fails=3)
# Kayenta's judge: confidence 98 %, at least 50 values a sample, no metric of three may fail (marginal 75).
KAYENTA = Contestant("Mann-Whitney: Kayenta's judge", "ranks", (2.326, 2.326, 2.326), seconds=500.0)
# One per cent a look, one-sided; both sides for the scores.
Z_TEST = Contestant("z-test, 1 % a look", "z", (2.326, 2.326, 2.576))
DOCUMENTED = (LOCKGATE, DEFAULT_LIMIT, FLAGGER, ARGO, KAYENTA, Z_TEST)

# What of each way is tried; the best of a way stands in the table.
TUNED: Mapping[str, tuple[Contestant, ...]] = {
    "point thresholds": tuple(
        Contestant(f"point thresholds, {fails} checks", "points", fails=fails, warmup=60.0)
        for fails in range(1, 7)
    ),
    "Mann-Whitney": (
        Contestant("Mann-Whitney, judged once a step", "ranks", seconds=500.0),
        Contestant(
            "Mann-Whitney, judged each minute", "ranks", seconds=500.0, warmup=60.0, points=12, every=6
        ),
    ),
    "z-test": tuple(
        Contestant(f"z-test from {least} expected hits on", "z", warmup=60.0, least=least)
        for least in (0, 2, 5)
    ),
}


def measured(contestant: Contestant, world: str, rollouts: int, seed: int) -> Outcome:
    """How a rule's rollouts end in a world."""
    rule = contestant.rule(WORLDS[world], rollouts)
    return run(WORLDS[world], rule, contestant.policy, rollouts, seed)


def noted(contestant: Contestant, world: str, rollouts: int, seed: int) -> Floats:
    """What a rule's limits are held against: [looks, rollouts, 3]; ours: the largest evidence, [rollouts]."""
    here = WORLDS[world]
    if contestant.kind == "ours":
        rule = Noted(here, rollouts, contestant.policy)
        run(here, rule, contestant.policy, rollouts, seed)
        return rule.largest
    return calibrate.noted(contestant.statistic(here), contestant.policy, here, rollouts, seed)
