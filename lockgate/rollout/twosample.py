"""Two shares compared while they are being counted: e-values that may be looked at after every request.

An e-value has expectation of at most 1 under its null hypothesis, and so has a product of e-values of
successive blocks, whenever one stops. So the chance that the product ever reaches 1/α is at most α (Ville's
inequality), however often one looks.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
# Shares are kept this far from 0 and 1, so that no single request can prove anything.
EDGE = 1e-5
# The part of the capital that is kept out of each block.
RESERVE = 1e-3
TINY = 1e-12
# Newton steps after the closed form, which loses digits where two of its roots meet.
POLISHES = 2


def log_e(n_a: Any, k_a: Any, n_b: Any, k_b: Any, q_a: Any, q_b: Any, bound: Any) -> Floats:
    """The logarithm of an e-value of one block against "a's share exceeds b's by at most `bound`".

    The block has `k_a` hits of `n_a` trials, and `k_b` of `n_b`, from the same period. With (θa, θb) the
    point of the null hypothesis that lies nearest to the alternative (q_a, q_b) in information,

        E = (q_a/θa)^k_a · ((1-q_a)/(1-θa))^(n_a-k_a) · (q_b/θb)^k_b · ((1-q_b)/(1-θb))^(n_b-k_b).

    It is conditional on the split (n_a, n_b), and valid for any two shares whose difference stays within the
    bound in this block: what raises both, such as an outage of what both need, is no evidence against
    either. Source: Turner, Ly and Grünwald, "Generic E-variables for exact sequential k-sample tests that
    allow for optional stopping" (2024), Theorem 1; for bounds on a difference Turner and Grünwald, "Safe
    sequential testing and effect estimation in stratified count data" (2023), section 3.

    Args:
        n_a: trials of a; arrays broadcast against each other.
        k_a: hits of a.
        n_b: trials of b.
        k_b: hits of b.
        q_a: a's share under the alternative. Chosen before the block was seen.
        q_b: b's share under the alternative. Where q_a - q_b is within the bound, the e-value is 1.
        bound: in [-1, 1].

    Returns:
        The logarithms, in the broadcast shape; 0 where one of the two had no trial.
    """
    n_a, k_a, n_b, k_b = (np.asarray(value, dtype=np.float64) for value in (n_a, k_a, n_b, k_b))
    q_a, q_b = inside(q_a), inside(q_b)
    total = n_a + n_b
    share = np.divide(n_a, total, out=np.full(np.broadcast(n_a, n_b).shape, 0.5), where=total > 0)
    near_a, near_b = nearest(q_a, q_b, share, np.asarray(bound, dtype=np.float64))
    value = k_a * np.log(q_a / near_a) + (n_a - k_a) * np.log((1 - q_a) / (1 - near_a))
    value = value + k_b * np.log(q_b / near_b) + (n_b - k_b) * np.log((1 - q_b) / (1 - near_b))
    counts = (n_a > 0) & (n_b > 0) & (q_a - q_b > bound)
    return np.asarray(np.where(counts, value, 0.0), dtype=np.float64)


def nearest(q_a: Floats, q_b: Floats, share: Floats, bound: Floats) -> tuple[Floats, Floats]:
    """The point with θa - θb = bound that is nearest to (q_a, q_b); of the trials, `share` are a's.

    Nearest means the smallest share·KL(q_a‖θa) + (1-share)·KL(q_b‖θb). For the bound 0 that is the mean of
    the two; else the derivative is zero at the middle root of a cubic in θb, in trigonometric form. Source:
    Farrington and Manning, "Test statistics and sample size formulae for comparative binomial trials" (1990).
    """
    mean = share * q_a + (1 - share) * q_b
    if not np.any(bound):
        return mean, mean
    # θb³ - square·θb² - linear·θb - constant = 0.
    square = share * (1 - bound + q_a) + (1 - share) * (1 - 2 * bound + q_b)
    linear = share * (bound - q_a) + (1 - share) * (bound * (1 - bound) - q_b * (1 - 2 * bound))
    constant = -(1 - share) * q_b * bound * (1 - bound)
    spread = np.sqrt(np.maximum((square**2 + 3 * linear) / 9, 0))
    third = (-2 * square**3 - 9 * square * linear - 27 * constant) / 54
    cosine = np.clip(third / np.maximum(spread**3, TINY), -1, 1)
    found = square / 3 - 2 * spread * np.cos((np.arccos(cosine) + 4 * np.pi) / 3)
    low, high = np.maximum(TINY, TINY - bound), np.minimum(1 - TINY, 1 - TINY - bound)
    found = np.clip(found, low, high)
    for _ in range(POLISHES):
        above = found + bound
        slope = share * (above - q_a) / (above * (1 - above)) + (1 - share) * (found - q_b) / (
            found * (1 - found)
        )
        bend = _bend(above, q_a) * share + _bend(found, q_b) * (1 - share)
        found = np.clip(found - slope / bend, (found + low) / 2, (found + high) / 2)
    return np.where(bound == 0, mean, found + bound), np.where(bound == 0, mean, found)


def _bend(share: Floats, q: Floats) -> Floats:
    """The second derivative of KL(q‖share) in the share."""
    return q / share**2 + (1 - q) / (1 - share) ** 2


def raised(share: Any, ratio: Any) -> Floats:
    """A share whose odds are `ratio` times those of the given one."""
    share = inside(share)
    return np.asarray(ratio * share / (1 - share + ratio * share), dtype=np.float64)


def inside(share: Any) -> Floats:
    """Shares, none of them nearer to 0 or 1 than an e-value can bear."""
    return np.asarray(np.clip(share, EDGE, 1 - EDGE), dtype=np.float64)


def reserved(logs: Floats) -> Floats:
    """The logarithms of e-values of one block, of which no more than so much can be lost.

    A thousandth of the capital is not staked: the e-value's mean with 1 is an e-value, too. A block that was
    foreseen wrongly, such as the first of an outage, then undoes some looks and not all that was ever shown.
    """
    return np.asarray(np.logaddexp(logs + np.log1p(-RESERVE), np.log(RESERVE)), dtype=np.float64)


def log_mean(logs: Floats, axis: int = -1) -> Floats:
    """The logarithm of the mean of e-values, which is an e-value again, from their logarithms."""
    most = np.max(logs, axis=axis, keepdims=True)
    mean = np.mean(np.exp(logs - most), axis=axis, keepdims=True)
    return np.asarray(np.squeeze(most + np.log(mean), axis=axis), dtype=np.float64)
