"""Errors: the share of requests answered other than with 2xx, candidate against stable.

Both are counted in the same periods, and the test is conditional on how the requests were split
(`lockgate.rollout.twosample`): when something that both need fails, both shares rise, and nobody is blamed.
"""

from lockgate.rollout.counts import Interval
from lockgate.rollout.policy import Policy
from lockgate.rollout.shares import Shares, add, margins

# Odds ratios of the alternatives, near enough to each other that what lies between is found nearly as soon.
EFFECTS = (1.5, 2.0, 4.0, 12.0)
# Before anything is known: one request in a hundred.
GUESS = 0.01


def begin(policy: Policy, level: float = GUESS) -> Shares:
    """No evidence yet; `level` is the stable's share until now."""
    return Shares.begin([level], both=False, effects=len(EFFECTS), weights=len(policy.steps))


def folded(shares: Shares, interval: Interval, policy: Policy) -> Shares:
    """The evidence with one more interval."""
    limits = policy.analysis.errors
    return add(
        shares,
        (interval.stable.requests, [interval.stable.errors]),
        (interval.candidate.requests, [interval.candidate.errors]),
        tolerance=limits.tolerance,
        margins=margins(limits.margin, policy.carried),
        effects=EFFECTS,
        both=False,
        step=policy.step_of(interval.weight),
    )
