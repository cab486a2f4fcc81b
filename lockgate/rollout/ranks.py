"""A distribution that has moved: the mean rank of two revisions' answers compared, by betting."""

from typing import Any

import numpy as np

from lockgate.rollout.twosample import TINY, Floats, reserved

# Differences of the mean rank to bet on, in standard deviations of a rank.
SHIFTS = (0.1, 0.4)
# The largest share of the capital that one request may lose.
MOST = 0.9


def ranks(below: Floats) -> tuple[Floats, Floats]:
    """The shares of a histogram's bins, and their mean ranks in [0, 1] (Bross' ridits).

    Args:
        below: shares up to each bound but the last, rising, [..., H].

    Returns:
        Both with the shape [..., H + 1].
    """
    edges = np.concatenate([np.zeros_like(below[..., :1]), below, np.ones_like(below[..., :1])], axis=-1)
    return np.diff(edges), (edges[..., 1:] + edges[..., :-1]) / 2


def log_e_moved(n_c: Any, below_c: Any, n_s: Any, below_s: Any, level: Floats, tolerance: float) -> Floats:
    """Logarithms of e-values of one block against "no bound's share differs by more than the tolerance".

    Such distributions differ by at most the tolerance t in the mean of any rising r with values in [0, 1].
    With s the candidate's share of the block's requests, and mc - ms = t,

        E = Π (1 + λ/s (r - mc)) over the candidate's · Π (1 - λ/(1-s) (r - ms)) over the stable's,

    and likewise for fewer. It is an e-value, as by the inequality of the means
    E[E] ≤ (1 + λ(μc - mc) - λ(μs - ms))^n = (1 + λ(μc - μs - t))^n ≤ 1: what moves both is no evidence.
    The stakes are those that grow fastest for small differences. Sources: Waudby-Smith and Ramdas,
    "Estimating means of bounded random variables by betting" (2024), for the bets; Turner, Ly and Grünwald,
    "Generic E-variables" (2024), Theorem 1, for the two samples; Bross, "How to use ridit analysis" (1958),
    for r.

    Args:
        n_c: the candidate's requests of the block, [...].
        below_c: of them those up to each bound but the last, [..., H].
        n_s: the stable's, likewise.
        below_s: the stable's, likewise.
        level: the stable's shares up to each bound, of the past, [..., H].
        tolerance: in [0, 1].

    Returns:
        [..., 2·len(SHIFTS)]: more first, then less; 0 where one of the two had no request.
    """
    shares, r = ranks(np.asarray(level, dtype=np.float64))
    n_c, n_s = np.asarray(n_c, dtype=np.float64), np.asarray(n_s, dtype=np.float64)
    k_c, k_s = bins(n_c, below_c), bins(n_s, below_s)
    total = np.maximum(n_c + n_s, 1)
    part = (n_c / total)[..., None]
    middle = (shares * r).sum(axis=-1)[..., None]
    spread = np.sqrt((shares * (r - middle[..., :1]) ** 2).sum(axis=-1))[..., None]
    more = _gained(k_c, k_s, r, part, middle, spread, tolerance)
    less = _gained(k_c, k_s, 1 - r, part, 1 - middle, spread, tolerance)
    counts = ((n_c > 0) & (n_s > 0))[..., None] & (spread > 0)
    return reserved(np.where(counts, np.concatenate([more, less], axis=-1), 0.0))


def bins(n: Floats, below: Any) -> Floats:
    """The counts of the bins, from those up to each bound but the last."""
    below = np.asarray(below, dtype=np.float64)
    return np.diff(np.concatenate([np.zeros_like(below[..., :1]), below, n[..., None]], axis=-1))


def _gained(
    k_c: Floats, k_s: Floats, r: Floats, part: Floats, middle: Floats, spread: Floats, tolerance: float
) -> Floats:
    """The logarithms for more, one a shift."""
    beyond = np.asarray(SHIFTS) * spread
    center_s = np.minimum(middle + part * beyond, 1 - tolerance)
    center_c = center_s + tolerance
    stake = beyond / np.maximum(spread, TINY) ** 2
    stake_c, stake_s = (1 - part) * stake, part * stake
    # Both stakes belong to one λ, so what caps one caps the other.
    loss = np.maximum(stake_c * center_c, stake_s * (1 - center_s))
    kept = np.minimum(1.0, MOST / np.maximum(loss, TINY))
    stake_c, stake_s = kept * stake_c, kept * stake_s
    candidate = np.log1p(stake_c[..., None] * (r[..., None, :] - center_c[..., None]))
    stable = np.log1p(-stake_s[..., None] * (r[..., None, :] - center_s[..., None]))
    return np.asarray(
        (k_c[..., None, :] * candidate).sum(axis=-1) + (k_s[..., None, :] * stable).sum(axis=-1)
    )
