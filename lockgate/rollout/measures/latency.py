"""Latency: the share of requests that took longer than a limit, candidate against stable.

A share is compared, not a percentile: a percentile's error depends on the distribution's density, a share's
does not. The limit is one of the bounds of the servers' histograms, fixed before the rollout begins. The
first requests of a new server meet cold caches; for `warmupSeconds` after its first request nothing counts.
Nor do copies of requests: a server that gets a tenth of the other's requests is quicker for that alone.
"""

from bisect import bisect_left

from lockgate.rollout.counts import Counts, Interval
from lockgate.rollout.policy import Policy
from lockgate.rollout.shares import Shares, add, margins

# Odds ratios of the alternatives.
EFFECTS = (1.4, 2.0, 4.0)
# The share that the limit is chosen by, where the policy names none.
SLOW = 0.05
# Fewer requests than this say nothing of a distribution.
ENOUGH = 200
DEFAULT_SECONDS = 0.05


def begin(policy: Policy, level: float = SLOW) -> Shares:
    """No evidence yet; `level` is the stable's share until now."""
    return Shares.begin([level], both=False, effects=len(EFFECTS), weights=len(policy.steps))


def limit(policy: Policy, before: Counts) -> float:
    """The limit in seconds: the policy's, or the first bound that 95 % of the stable's requests kept to.

    Args:
        policy: may name a limit; the histogram's next higher bound then counts.
        before: the stable's counts until the rollout began.
    """
    wanted = policy.analysis.latency.limit_ms
    bounds = before.latency_bounds
    if wanted is not None or not bounds or sum(before.latency) < ENOUGH:
        seconds = wanted / 1000 if wanted is not None else DEFAULT_SECONDS
        return bounds[min(bisect_left(bounds, seconds), len(bounds) - 1)] if bounds else seconds
    return next((b for b in bounds if over(before, b) <= SLOW * sum(before.latency)), bounds[-1])


def over(counts: Counts, seconds: float) -> int:
    """How many requests took longer than `seconds`, one of the bounds or between two of them."""
    return sum(counts.latency[bisect_left(counts.latency_bounds, seconds) + 1 :])


def folded(shares: Shares, interval: Interval, policy: Policy, seconds: float) -> Shares:
    """The evidence with one more interval; `seconds` is the limit."""
    limits = policy.analysis.latency
    if not 0 < interval.weight < 100 or interval.live_seconds <= limits.warmup_seconds:
        return shares
    return add(
        shares,
        (sum(interval.stable.latency), [over(interval.stable, seconds)]),
        (sum(interval.candidate.latency), [over(interval.candidate, seconds)]),
        tolerance=limits.tolerance,
        margins=margins(limits.margin, policy.carried),
        effects=EFFECTS,
        both=False,
        step=policy.step_of(interval.weight),
    )
