"""One mean held against a limit while its values come in: e-values by betting."""

from typing import Any

import numpy as np

from lockgate.rollout.twosample import Floats, inside

# Shares of the largest stake that cannot lose everything; the mean over them needs no choice.
STAKES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)


def log_e(values: Any, limit: float, low: float = 0.0) -> Floats:
    """The logarithms of e-values, one a stake, against "the mean is at most `limit`".

    The capital of a player who bets λ on each value x of the block being above the limit: Π (1 + λ(x -
    limit)), with λ a fixed share of 1/(limit - low), so that it stays positive. Source: Waudby-Smith and
    Ramdas, "Estimating means of bounded random variables by betting" (2024), section 4.

    Args:
        values: of the block, each at least `low`; their mean given all earlier ones is what is tested.
        limit: above `low`.
        low: the smallest possible value.

    Returns:
        One logarithm for each of `STAKES`.
    """
    stakes = np.asarray(STAKES) / (limit - low)
    excess = np.asarray(values, dtype=np.float64) - limit
    return np.asarray(np.log1p(np.outer(stakes, excess)).sum(axis=1), dtype=np.float64)


def log_e_share(n: Any, k: Any, limit: Any, alternative: Any) -> Floats:
    """The logarithm of the e-value against "the share is at most `limit`": a likelihood ratio.

    (q/θ)^k · ((1-q)/(1-θ))^(n-k) for the limit θ and an alternative q above it; 1 where q is not above.
    Source: Wald, "Sequential tests of statistical hypotheses" (1945). For "at least" exchange hits and
    misses.
    """
    n, k = np.asarray(n, dtype=np.float64), np.asarray(k, dtype=np.float64)
    q, theta = inside(alternative), inside(limit)
    value = k * np.log(q / theta) + (n - k) * np.log((1 - q) / (1 - theta))
    return np.asarray(np.where(q > theta, value, 0.0), dtype=np.float64)
