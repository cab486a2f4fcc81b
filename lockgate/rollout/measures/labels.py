"""Labels that come late: the candidate's loss minus the stable's on the same labelled requests.

Paired, so that hard requests weigh on both; bets on the mean difference (`lockgate.rollout.betting`).
"""

import numpy as np

from lockgate.records import Record
from lockgate.rollout import betting
from lockgate.rollout.counts import Interval
from lockgate.rollout.policy import Policy
from lockgate.rollout.twosample import log_mean


class Losses(Record):
    """Labelled requests so far, their summed difference, and the e-values against "not worse"."""

    n: int = 0
    difference: float = 0.0
    worse: tuple[float, ...] = (0.0,) * len(betting.STAKES)

    def harm_e(self) -> float:
        """The logarithm of the e-value against "the candidate's loss is within the tolerance"."""
        return float(log_mean(np.asarray(self.worse)))


def folded(seen: Losses, interval: Interval, policy: Policy) -> Losses:
    """The evidence with one more interval."""
    losses = interval.losses
    if not losses:
        return seen
    worse = seen.worse + betting.log_e(losses, policy.analysis.labels.tolerance, low=-1.0)
    return Losses(n=seen.n + len(losses), difference=seen.difference + sum(losses), worse=tuple(worse))
