"""Scores: the distribution of what the two models answer, by the servers' histograms.

A multinomial e-process of two parts, whose mean is an e-value. The first: the histogram is cut at each of
its bounds (and, of several classes, each class told from the rest), and every cut gives a pair of shares to
compare in both directions. A cut that shows a difference need not be known beforehand, which costs the
logarithm of the number of cuts; to learn all the bins' shares would cost about half a logarithm of n for each
bin. The second holds the mean ranks against each other (`lockgate.rollout.ranks`): where a distribution
has moved as a whole, each cut knows a part of it, and the mean rank nearly all.

The unit is the request, as requests are what the gateway splits: of each, the first row's score counts.
The tolerance says how far the two may lie apart at any bound (the Kolmogorov-Smirnov distance): two different
models are expected to, and by how much the evaluation knows.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lockgate.rollout.counts import Counts, Interval
from lockgate.rollout.policy import Policy
from lockgate.rollout.ranks import SHIFTS, log_e_moved
from lockgate.rollout.shares import Shares, add, log_since, margins, since
from lockgate.rollout.twosample import Floats

# Odds ratios of the alternatives: at the median, a shift of 0.1 standard deviations is 1.17, of 0.5 2.2.
EFFECTS = (1.15, 1.5, 2.5, 6.0)
GUESS = 0.5
# The mean rank's part of the capital: most models that changed answer higher or lower as a whole.
MOVED_PART = 0.75


class ScoreShares(Shares):
    """The evidence on the cuts, and in `moved` the logarithms of the e-values on the mean rank."""

    moved: tuple[tuple[float, ...], ...] = ()

    def harm_e(self) -> float:
        """The logarithm of the e-value against "the candidate is within the tolerance"."""
        return float(mixed(log_since(np.asarray(self.harm)), log_since(np.asarray(self.moved))))


def mixed(cut: Any, moved: Any) -> Floats:
    """The logarithm of the e-value from those of the cuts and of the mean rank."""
    found = np.logaddexp(cut + np.log(1 - MOVED_PART), moved + np.log(MOVED_PART))
    return np.asarray(found, dtype=np.float64)


def begin(policy: Policy, before: Counts) -> ScoreShares:
    """No evidence yet; the first guess of the stable's shares is what it has answered `before`."""
    trials, hits = cuts(before, sorted(before.scores), before.score_bounds)
    level = [(hit + GUESS) / (trials + 2 * GUESS) for hit in hits]
    steps = len(policy.steps)
    shares = ScoreShares.begin(level, both=True, effects=len(EFFECTS), weights=steps)
    return shares.model_copy(update={"moved": ((0.0,) * (2 * len(SHIFTS)),) * steps})


def cuts(counts: Counts, labels: Sequence[str], bounds: Sequence[float]) -> tuple[int, list[int]]:
    """Requests with a score, and for each cut how many of them are on its lower side, or of its class.

    The cuts are the bounds but the last, which nothing exceeds, then the labels where there are several.
    """
    total = [0] * (len(bounds) + 1)
    for values in counts.scores.values():
        total = [a + b for a, b in zip(total, values, strict=True)]
    below = [sum(total[: place + 1]) for place in range(max(0, len(bounds) - 1))]
    named = [sum(counts.scores.get(label, ())) for label in labels] if len(labels) > 1 else []
    return sum(total), [*below, *named]


def folded(
    shares: ScoreShares, interval: Interval, policy: Policy, labels: Sequence[str], bounds: Sequence[float]
) -> ScoreShares:
    """The evidence with one more interval; nothing where a histogram has other bounds."""
    if not bounds or not all(_fits(c, bounds) for c in (interval.stable, interval.candidate)):
        return shares
    limits = policy.analysis.scores
    stable, candidate = cuts(interval.stable, labels, bounds), cuts(interval.candidate, labels, bounds)
    inner = len(bounds) - 1
    step = policy.step_of(interval.weight)
    moved = log_e_moved(
        candidate[0],
        candidate[1][:inner],
        stable[0],
        stable[1][:inner],
        np.asarray(shares.level[:inner]),
        limits.tolerance,
    )
    return add(
        shares.model_copy(update={"moved": since(shares.moved, step, moved)}),
        stable,
        candidate,
        tolerance=limits.tolerance,
        margins=margins(limits.margin, policy.carried),
        effects=EFFECTS,
        both=True,
        step=step,
    )


def _fits(counts: Counts, bounds: Sequence[float]) -> bool:
    return not counts.scores or tuple(counts.score_bounds) == tuple(bounds)
