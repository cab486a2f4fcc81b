"""Rollouts under a rule: requests come, the rule looks, the weight follows."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from bench.rollout.world import HORIZON, LOOK, VARIANTS, Side, Tables, World
from lockgate.rollout.policy import Policy
from lockgate.rollout.twosample import Floats

HOLD, ADVANCE, ROLL_BACK = 0, 1, 2
NEVER = np.inf


@dataclass(frozen=True)
class Look:
    """What a rule sees of each rollout.

    The step's place, the seconds since it began and since the first one did, and what both revisions counted
    since the last look. `is_steady`: the weight had time to settle.
    """

    step: Any
    passed: Any
    live: float
    is_steady: Any
    stable: Side
    candidate: Side


class Rule(Protocol):
    """A way to judge; it keeps what it knows of each rollout."""

    def look(self, look: Look) -> Any:
        """What is to be done with each rollout."""

    def keep(self, which: Any) -> None:
        """Forgets all rollouts but these."""


@dataclass(frozen=True)
class Outcome:
    """How each rollout ended.

    The seconds until it was rolled back, had all of the traffic, and was promoted (infinite: never), and the
    requests that the candidate has answered within the horizon.
    """

    back: Floats
    full: Floats
    promoted: Floats
    hits: Floats

    @classmethod
    def joined(cls, parts: "list[Outcome]") -> "Outcome":
        """All parts' rollouts as one."""
        names = ("back", "full", "promoted", "hits")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def run(
    world: World, rule: Rule, policy: Policy, rollouts: int, seed: int, *, at_least: int | None = None
) -> Outcome:
    """Simulates rollouts from their first step until they end, or to the horizon.

    Args:
        world: what is answered.
        rule: fresh, for so many rollouts.
        policy: has the steps.
        rollouts: their number.
        seed: of all draws.
        at_least: looks after which nothing more is simulated; None: to the end.
    """
    rng, tables = np.random.default_rng(seed), Tables.of(world)
    weights = np.array([step.weight / 100 for step in policy.steps])
    last = len(weights) - 1
    back, full, promoted, hits = (np.full(rollouts, NEVER) for _ in range(4))
    hits[:] = 0
    here = np.arange(rollouts)
    step, since = np.zeros(rollouts, dtype=int), np.zeros(rollouts)
    for look in range(at_least or HORIZON // LOOK):
        variant = here % VARIANTS
        now = (look + 1.0) * LOOK
        stable, candidate = tables.counted(look, variant, weights[step], rng)
        hits[here] += candidate.n
        passed = now - since
        seen = Look(step, passed, now, (passed > LOOK) & (step < last), stable, candidate)
        action = rule.look(seen)
        ends = (action == ROLL_BACK) | ((action == ADVANCE) & (step == last))
        goes = (action == ADVANCE) & (step < last)
        back[here[action == ROLL_BACK]] = now
        promoted[here[ends & (action == ADVANCE)]] = now
        full[here[goes & (step + 1 == last)]] = now
        after = tables.rate[variant, look + 1 :].sum(axis=1)
        hits[here] += np.where(ends & (action == ADVANCE), after, 0.0)
        step, since = step + goes, np.where(goes, now, since)
        if ends.any():
            here, step, since = here[~ends], step[~ends], since[~ends]
            rule.keep(~ends)
        if not len(here):
            break
    return Outcome(back, full, promoted, hits)
