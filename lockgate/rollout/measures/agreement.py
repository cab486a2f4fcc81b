"""Agreement: how often two models decide otherwise on the same request, and how far their scores lie apart.

Mirrored requests have two answers. Both limits come from the evaluation: models that were judged to differ by
d on the test rows may differ about that much live, and a live difference beyond it is a difference that
nobody has judged. Rate: a likelihood ratio; size: bets on the mean (`lockgate.rollout.betting`).
"""

import numpy as np

from lockgate.records import Record
from lockgate.rollout import betting
from lockgate.rollout.counts import Interval
from lockgate.rollout.policy import Policy
from lockgate.rollout.twosample import log_mean, raised

EFFECTS = (1.3, 2.0, 4.0, 10.0)


class Agreement(Record):
    """Mirrored requests so far, and the logarithms of the e-values against "within the limits"."""

    n: int = 0
    unlike: int = 0
    difference: float = 0.0
    rate: tuple[float, ...] = (0.0,) * len(EFFECTS)
    size: tuple[float, ...] = (0.0,) * len(betting.STAKES)

    def harm_e(self) -> float:
        """The logarithm of the e-value against "the models differ as the evaluation knows"."""
        return float(log_mean(np.array([log_mean(np.asarray(self.rate)), log_mean(np.asarray(self.size))])))


def folded(seen: Agreement, interval: Interval, policy: Policy) -> Agreement:
    """The evidence with one more interval."""
    pairs, limits = interval.pairs, policy.analysis.agreement
    if not pairs:
        return seen
    unlike = sum(not pair.is_alike for pair in pairs)
    differences = [pair.difference for pair in pairs]
    alternatives = raised(limits.labels, np.asarray(EFFECTS))
    return Agreement(
        n=seen.n + len(pairs),
        unlike=seen.unlike + unlike,
        difference=seen.difference + sum(differences),
        rate=tuple(seen.rate + betting.log_e_share(len(pairs), unlike, limits.labels, alternatives)),
        size=tuple(seen.size + betting.log_e(differences, limits.size)),
    )
