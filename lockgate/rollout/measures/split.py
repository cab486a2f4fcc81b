"""The split: whether the revisions get the shares of the requests that the route gives them.

Believed is what the revisions count. A gateway that does not follow, or another route for the same host,
would make every comparison one of different requests. A likelihood ratio in both directions (Wald, 1945)
against a share within the tolerance of the wanted one, over periods in which the weight stood still; begun
anew at each step, as a gateway that followed one weight need not follow the next.
"""

from typing import Any, Self

import numpy as np

from lockgate.evaluation.wilson import wilson
from lockgate.records import Record
from lockgate.rollout.betting import log_e_share
from lockgate.rollout.counts import Interval
from lockgate.rollout.policy import Policy
from lockgate.rollout.shares import log_since, since
from lockgate.rollout.twosample import Floats, raised

EFFECTS = (1.3, 2.0, 5.0, 20.0)
CONFIDENCE = 0.99


class Split(Record):
    """The e-values against "as wanted", and the requests at the present weight, the candidate's and all.

    `seen` are the candidate's requests at the present weight, steady or not; `logs` has a row a step.
    """

    logs: tuple[tuple[float, ...], ...]
    weight: int = 0
    candidate: int = 0
    total: int = 0
    seen: int = 0

    @classmethod
    def begin(cls, steps: int) -> Self:
        """Nothing seen yet."""
        return cls(logs=((0.0,) * (2 * len(EFFECTS)),) * steps)

    def harm_e(self) -> float:
        """The logarithm of the e-value against "the split is as wanted"."""
        return float(log_since(np.asarray(self.logs)))

    def observed(self) -> tuple[float, float, float] | None:
        """The candidate's share of the requests in percent, and its 99 % interval; None: no requests."""
        if not self.total:
            return None
        low, high = wilson(self.candidate, self.total, CONFIDENCE)
        return 100 * self.candidate / self.total, 100 * low, 100 * high


def folded(split: Split, interval: Interval, policy: Policy) -> Split:
    """The evidence with one more interval."""
    if interval.weight != split.weight:
        split = Split(logs=split.logs, weight=interval.weight)
    k, n = interval.candidate.requests, interval.candidate.requests + interval.stable.requests
    split = split.model_copy(update={"seen": split.seen + k})
    if not interval.is_steady or not 0 < interval.weight < 100 or not n:
        return split
    found = log_e_split(n, k, interval.weight / 100, policy.analysis.split_tolerance)
    logs = since(split.logs, policy.step_of(interval.weight), found)
    return split.model_copy(update={"logs": logs, "candidate": split.candidate + k, "total": split.total + n})


def log_e_split(n: Any, k: Any, share: Any, tolerance: float) -> Floats:
    """Logarithms of the e-values of one block against "the share is within the tolerance of the wanted".

    Small shares are allowed half a percent of the requests either way, too.

    Args:
        n: requests of the block, [...].
        k: the candidate's.
        share: wanted, in (0, 1).
        tolerance: as a part of the smaller of the two wanted shares.

    Returns:
        [..., 2·len(EFFECTS)].
    """
    n, k, share = (np.asarray(value, dtype=np.float64)[..., None] for value in (n, k, share))
    slack = np.maximum(tolerance * np.minimum(share, 1 - share), 0.005)
    ratios = np.asarray(EFFECTS)
    high, low = np.minimum(share + slack, 1.0), np.maximum(share - slack, 0.0)
    more = np.where(high < 1, log_e_share(n, k, high, raised(high, ratios)), 0.0)
    less = np.where(low > 0, log_e_share(n, n - k, 1 - low, raised(1 - low, ratios)), 0.0)
    return np.concatenate([more, less], axis=-1)
