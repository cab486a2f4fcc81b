"""The evidence on one or more shares, such as that of failed requests: what is proved bad, what fine."""

from collections.abc import Sequence
from typing import Any, Self, TypeVar

import numpy as np

from lockgate.records import Record
from lockgate.rollout.twosample import Floats, inside, log_e, log_mean, raised, reserved

# The stable's share is estimated from what is past; half of its weight is of the last seven looks.
KEPT = 0.9
# Standard deviations from the estimate that make a block another world.
SURPRISE = 6.0
# So many requests the first guess counts for.
PRIOR = 20.0
LARGEST_MARGIN = 0.9


class Shares(Record):
    """The counts and e-processes of one measure over a whole rollout.

    Of H shares (one, or one a bound of a histogram), D directions (1: only more is bad; 2: less, too), A
    alternatives and W weights of the steps: `harm` holds the logarithms of W·H·D·A e-values against "the
    candidate differs by at most the tolerance", each row of what came since its step began, `safe` of W·H·D
    against "it differs by the margin of that weight or more". `level` estimates the stable's shares from the
    past, of `level_n` requests.
    """

    stable_n: float = 0.0
    stable_k: tuple[float, ...]
    candidate_n: float = 0.0
    candidate_k: tuple[float, ...]
    level: tuple[float, ...]
    level_n: float = PRIOR
    harm: tuple[tuple[float, ...], ...]
    safe: tuple[tuple[float, ...], ...]

    @classmethod
    def begin(cls, level: Sequence[float], both: bool, effects: int, weights: int) -> Self:
        """No evidence yet; `level` is a first guess of the stable's shares."""
        sides = len(level) * (2 if both else 1)
        none = (0.0,) * len(level)
        return cls(
            stable_k=none,
            candidate_k=none,
            level=tuple(level),
            harm=((0.0,) * (sides * effects),) * weights,
            safe=((0.0,) * sides,) * weights,
        )

    def harm_e(self) -> float:
        """The logarithm of the e-value against "the candidate is within the tolerance"."""
        return float(log_since(np.asarray(self.harm)))

    def safe_e(self, step: int) -> float:
        """The logarithm of the e-value against "the candidate exceeds the margin of the step's weight".

        Every share in every direction has to be fine, so the smallest counts, and needs no correction
        (Berger, "Multiparameter hypothesis testing and acceptance sampling", 1982).
        """
        return min(self.safe[step])

    def largest(self) -> tuple[int, float]:
        """The place of the largest observed difference, and that difference (candidate minus stable)."""
        if not self.stable_n or not self.candidate_n:
            return 0, 0.0
        found = np.asarray(self.candidate_k) / self.candidate_n - np.asarray(self.stable_k) / self.stable_n
        place = int(np.abs(found).argmax())
        return place, float(found[place])


Known = TypeVar("Known", bound=Shares)


def add(
    shares: Known,
    stable: tuple[float, Sequence[float]],
    candidate: tuple[float, Sequence[float]],
    *,
    tolerance: float,
    margins: Sequence[float],
    effects: Sequence[float],
    both: bool,
    step: int,
) -> Known:
    """The shares with one more block of counts.

    Args:
        shares: so far.
        stable: trials of the block, and hits of every share.
        candidate: likewise.
        tolerance: that the candidate may differ by.
        margins: that it must stay below, one a weight of the steps.
        effects: odds ratios of the alternatives.
        both: whether less is as bad as more.
        step: that the block was counted in.
    """
    n_s, k_s = stable[0], np.asarray(stable[1], dtype=np.float64)
    n_c, k_c = candidate[0], np.asarray(candidate[1], dtype=np.float64)
    level = np.asarray(shares.level)
    harm = harm_logs(n_c, k_c, n_s, k_s, level, tolerance, effects, both)
    safe = safe_logs(n_c, k_c, n_s, k_s, level, margins, both)
    learned, learned_n = relearned(level, shares.level_n, n_s, k_s)
    return shares.model_copy(
        update={
            "stable_n": shares.stable_n + n_s,
            "stable_k": tuple((np.asarray(shares.stable_k) + k_s).tolist()),
            "candidate_n": shares.candidate_n + n_c,
            "candidate_k": tuple((np.asarray(shares.candidate_k) + k_c).tolist()),
            "level": tuple(learned.tolist()),
            "level_n": float(learned_n),
            "harm": since(shares.harm, step, harm),
            "safe": tuple(map(tuple, (np.asarray(shares.safe) + safe).tolist())),
        }
    )


def since(rows: Sequence[Sequence[float]], step: Any, logs: Floats) -> tuple[tuple[float, ...], ...]:
    """The rows of logarithms, one a step, with those of one more block added to all that have begun."""
    grown = np.asarray(rows) + begun(len(rows), step)[:, None] * logs
    return tuple(map(tuple, grown.tolist()))


def begun(steps: int, step: Any) -> Floats:
    """1 for each of the steps that has begun at `step`, 0 for later ones, [..., steps]."""
    return (np.arange(steps) <= np.asarray(step)[..., None]).astype(np.float64)


def log_since(rows: Floats) -> Floats:
    """The logarithm of the e-value from those of all alternatives, in rows by the step that they begin with.

    A mixture over the times at which the candidate may have become bad: half of it lies on the beginning, the
    rest on the later steps alike. So one that fails under a load which it did not have before is found nearly
    as soon as one that always failed, however good it was until then. Source: Shin, Ramdas and Rinaldo,
    "E-detectors: a nonparametric framework for sequential change detection" (2024), section 2.

    Args:
        rows: [..., steps, alternatives].
    """
    logs = log_mean(rows)
    later = logs.shape[-1] - 1
    if not later:
        return np.asarray(logs[..., 0])
    return np.asarray(np.logaddexp(logs[..., 0], log_mean(logs[..., 1:])) - np.log(2))


def relearned(level: Floats, level_n: Any, n_s: Any, k_s: Any) -> tuple[Floats, Floats]:
    """The estimate of the stable's shares, and its requests, after a block; older blocks count for less.

    After a block that the estimate would not have let expect, as an outage begins or ends with, they count
    for one request: they say nothing of now. The estimate may follow from the past in any way; the e-values
    that it is used for stay e-values.

    Hits and `level` have the shape [..., H], trials [...].
    """
    level_n, n_s = np.asarray(level_n, dtype=np.float64), np.asarray(n_s, dtype=np.float64)
    n = n_s[..., None]
    off = np.abs(k_s - n * level) / np.sqrt(n * level * (1 - level) + 1)
    kept = np.where((off > SURPRISE).any(axis=-1), np.minimum(level_n, 1.0), KEPT * level_n)
    old = np.where(n_s > 0, kept, level_n)
    weight = old + n_s
    return (level * old[..., None] + k_s) / weight[..., None], weight


def harm_logs(
    n_c: Any,
    k_c: Any,
    n_s: Any,
    k_s: Any,
    level: Floats,
    tolerance: float,
    effects: Sequence[float],
    both: bool,
) -> Floats:
    """Logarithms of the e-values against "within the tolerance" of one block, [..., H·D·A].

    `level` and hits have the shape [..., H], trials [...]. The alternatives: the stable's share is `level`,
    and the odds of the candidate's are so many times those of the tolerated one.
    """
    n_c, n_s = (np.asarray(n, dtype=np.float64)[..., None, None] for n in (n_c, n_s))
    k_c, k_s, level = k_c[..., None], k_s[..., None], level[..., None]
    ratios = np.asarray(effects, dtype=np.float64)
    more = log_e(n_c, k_c, n_s, k_s, raised(inside(level + tolerance), ratios), level, tolerance)
    if both:
        less = log_e(n_s, k_s, n_c, k_c, level, raised(inside(level - tolerance), 1 / ratios), tolerance)
        more = np.concatenate([more, less], axis=-2)
    return reserved(more.reshape(*more.shape[:-2], -1))


def safe_logs(
    n_c: Any, k_c: Any, n_s: Any, k_s: Any, level: Floats, margins: Sequence[float], both: bool
) -> Floats:
    """Logarithms of the e-values against "the margin or more" of one block, [..., W, H·D]; shapes as above.

    The alternative is that both have the stable's share.
    """
    n_c, n_s = (np.asarray(n, dtype=np.float64)[..., None, None] for n in (n_c, n_s))
    k_c, k_s, level = k_c[..., None, :], k_s[..., None, :], level[..., None, :]
    bounds = -np.minimum(np.asarray(margins, dtype=np.float64), LARGEST_MARGIN)[:, None]
    found = log_e(n_s, k_s, n_c, k_c, level, level, bounds)
    if both:
        found = np.concatenate([found, log_e(n_c, k_c, n_s, k_s, level, level, bounds)], axis=-1)
    return reserved(found)


def margins(margin: float, weights: Sequence[int]) -> tuple[float, ...]:
    """The margin at each weight: what the whole service may lose, over the candidate's share of it.

    At 5 % of the traffic the candidate may be 20 times the margin worse before the service as a whole is
    worse by the margin. So little evidence carries a small step, and only full evidence carries the last.
    """
    return tuple(margin * 100 / weight for weight in weights)
