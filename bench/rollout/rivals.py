"""The field's ways to judge a candidate, each by three numbers: on errors, on latency, and on scores.

A `Statistic` gives the numbers at the looks at which its way looks; `Judged` holds them to limits.
"""

from typing import Any, Protocol

import numpy as np

from bench.rollout.simulate import ADVANCE, HOLD, ROLL_BACK, Look
from bench.rollout.world import LOOK, Side
from lockgate.rollout.policy import Policy
from lockgate.rollout.twosample import Floats
from serving.runtime.metrics import PROBABILITIES, SECONDS

# What a request of each bin of the two histograms counts as.
LATENCIES = np.append((np.array((0.0, *SECONDS[:-1])) + np.array(SECONDS)) / 2, SECONDS[-1])
SCORES = np.append(np.array(PROBABILITIES) - 0.025, 1.0)
MINUTE = 60


class Statistic(Protocol):
    """Three numbers of each rollout, the larger the worse."""

    def values(self, look: Look) -> Floats | None:
        """[rollouts, 3]; None at looks at which nothing is judged. NaN: nothing to judge by."""

    def keep(self, which: Any) -> None:
        """Forgets all rollouts but these."""


class Points:
    """The candidate's own last minute, as Flagger and Argo Rollouts ask Prometheus for it.

    Share of errors, p99 latency, and the distance of the mean score from what the stable's was before.
    """

    def __init__(self, mean_score: float, warmup: float = 0.0) -> None:
        """Latency counts after `warmup` seconds."""
        self._mean, self._warmup = mean_score, warmup
        self._recent: list[Side] = []

    def values(self, look: Look) -> Floats | None:
        """At the end of each minute of a step."""
        self._recent.append(look.candidate)
        if len(self._recent) * LOOK < MINUTE:
            return None
        n, errors, latency, scores = (
            sum(getattr(side, name) for side in self._recent) for name in ("n", "errors", "latency", "scores")
        )
        self._recent = []
        with np.errstate(invalid="ignore", divide="ignore"):
            moved = np.abs(scores @ SCORES / scores.sum(axis=1) - self._mean)
            slow = quantile(latency, 0.99) if look.live > self._warmup else np.full(len(n), np.nan)
            return np.stack([errors / n, slow, moved], axis=1)

    def keep(self, which: Any) -> None:
        """Forgets all rollouts but these."""
        self._recent = [side.kept(which) for side in self._recent]


class ZTest:
    """Two-sample z-tests on all requests of the step.

    On the shares of errors and of requests over the limit that Lockgate takes, too, and, in both directions,
    on the mean score; all with the pooled variance.
    """

    def __init__(self, over: int, warmup: float = 0.0, least: int = 0) -> None:
        """Latency counts from bin `over` on, after `warmup` seconds; shares from `least` expected hits on."""
        self._over, self._warmup, self._least = over, warmup, least
        self._sums: Floats | None = None
        self._step = -1

    def values(self, look: Look) -> Floats | None:
        """At every look at which both have traffic."""
        step = int(look.step[0])
        assert (look.step == step).all()
        new = np.stack([self._summed(side, look.live) for side in (look.stable, look.candidate)])
        self._sums = new if step != self._step or self._sums is None else self._sums + new
        self._step = step
        (n_s, errors_s, timed_s, slow_s, *scores_s), (n_c, errors_c, timed_c, slow_c, *scores_c) = self._sums
        if not n_s.any():
            return None
        return np.stack(
            [
                self._shares(n_s, errors_s, n_c, errors_c),
                self._shares(timed_s, slow_s, timed_c, slow_c),
                self._means(*scores_s, *scores_c),
            ],
            axis=1,
        )

    def keep(self, which: Any) -> None:
        """Forgets all rollouts but these."""
        if self._sums is not None:
            self._sums = self._sums[:, :, which]

    def _summed(self, side: Side, live: float) -> Floats:
        timed, slow = side.n, side.latency[:, self._over :].sum(axis=1)
        if live <= self._warmup:
            timed, slow = 0 * timed, 0 * slow
        scores = (side.scores.sum(axis=1), side.scores @ SCORES, side.scores @ SCORES**2)
        return np.stack([side.n, side.errors, timed, slow, *scores]).astype(float)

    def _shares(self, n_s: Floats, k_s: Floats, n_c: Floats, k_c: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            pooled = (k_s + k_c) / (n_s + n_c)
            error = np.sqrt(pooled * (1 - pooled) * (1 / n_s + 1 / n_c))
            z = (k_c / n_c - k_s / n_s) / error
            return np.where(pooled * n_c >= self._least, z, np.nan)

    @staticmethod
    def _means(n_s: Floats, x_s: Floats, xx_s: Floats, n_c: Floats, x_c: Floats, xx_c: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            n = n_s + n_c
            variance = (xx_s + xx_c) / n - ((x_s + x_c) / n) ** 2
            return np.abs(x_c / n_c - x_s / n_s) / np.sqrt(variance * (1 / n_s + 1 / n_c))


class MannWhitney:
    """Kayenta's default judge: the looks' values of both revisions as two samples.

    Of each look the share of errors, the mean latency and the mean score. The number is the z of the lower
    end of the confidence interval of the shift, less a quarter of the shift's Hodges-Lehmann estimate: where
    it exceeds the confidence's quantile, the judge classifies the metric as High. Scores: or as Low.
    """

    TOLERANCE = 0.25

    def __init__(self, points: int, every: int, warmup: float = 0.0) -> None:
        """Judges samples of at least `points` looks of a step, after `every` so many, none of the warm-up."""
        self._points, self._every, self._warmup = points, every, warmup
        self._samples: list[Floats] = []
        self._step = -1

    def values(self, look: Look) -> Floats | None:
        """At the looks at which the samples are judged."""
        step = int(look.step[0])
        assert (look.step == step).all()
        if step != self._step:
            self._samples, self._step = [], step
        if not look.stable.n.any() or look.live <= self._warmup:
            return None
        self._samples.append(np.stack([self._means(look.candidate), self._means(look.stable)]))
        if len(self._samples) < self._points or len(self._samples) % self._every:
            return None
        # By rollout, revision, metric and look.
        samples = np.stack(self._samples, axis=-1).swapaxes(0, 1)
        parts = np.array_split(np.arange(len(samples)), max(1, len(samples) * len(self._samples) // 20_000))
        return np.concatenate([self._judged(samples[part]) for part in parts])

    def keep(self, which: Any) -> None:
        """Forgets all rollouts but these."""
        self._samples = [sample[:, which] for sample in self._samples]

    @staticmethod
    def _means(side: Side) -> Floats:
        n, answered = np.maximum(side.n, 1), np.maximum(side.scores.sum(axis=1), 1)
        found = (side.errors / n, side.latency @ LATENCIES / n, side.scores @ SCORES / answered)
        return np.stack(found, axis=1)

    def _judged(self, samples: Floats) -> Floats:
        found = [shift_z(samples[:, 0, metric], samples[:, 1, metric], self.TOLERANCE) for metric in range(3)]
        lower = shift_z(-samples[:, 0, 2], -samples[:, 1, 2], self.TOLERANCE)
        return np.stack([found[0], found[1], np.maximum(found[2], lower)], axis=1)


def shift_z(x: Floats, y: Floats, tolerance: float) -> Floats:
    """The z of the Mann-Whitney test of "x is not higher than y by more than a part of the estimated shift".

    Large samples' approximation with ties and the correction for continuity, as in Kayenta (which has it
    from R's wilcox.test); x and y are [rollouts, looks].
    """
    differences = x[:, :, None] - y[:, None, :]
    estimate = np.median(differences.reshape(len(x), -1), axis=1)
    bound = tolerance * np.abs(estimate)
    over = differences - bound[:, None, None]
    rank = (over > 0).sum(axis=(1, 2)) + 0.5 * (over == 0).sum(axis=(1, 2))
    n, m = x.shape[1], y.shape[1]
    excess = rank - n * m / 2
    both = np.concatenate([x - bound[:, None], y], axis=1)
    tied = (both[:, :, None] == both[:, None, :]).sum(axis=2)
    ties = (tied.astype(float) ** 2 - 1).sum(axis=1)
    sigma = np.sqrt(n * m / 12 * ((n + m + 1) - ties / ((n + m) * (n + m - 1))))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (excess - 0.5 * np.sign(excess)) / sigma


def quantile(histogram: Any, level: float) -> Floats:
    """Prometheus' histogram_quantile: linear within the bin, [rollouts]."""
    bounds = np.array((0.0, *SECONDS, SECONDS[-1]))
    below = np.cumsum(histogram, axis=1)
    wanted = level * below[:, -1]
    place = np.argmax(below >= wanted[:, None], axis=1)
    rows = np.arange(len(below))
    before = np.where(place > 0, below[rows, place - 1], 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        part = (wanted - before) / histogram[rows, place]
    return bounds[place] + part * (bounds[place + 1] - bounds[place])


class Judged:
    """A rule: so many looks at which a number is over its limit, and the candidate goes back.

    `together`: looks count alike whichever of the numbers it was, and no step ends with such a look, as in
    Flagger; else each number's are counted apart, as in Argo Rollouts. A candidate goes on by time.
    """

    def __init__(
        self, statistic: Statistic, limits: Any, policy: Policy, *, fails: int = 1, together: bool = False
    ) -> None:
        self._statistic, self._limits, self._policy = statistic, np.asarray(limits), policy
        self._fails, self._together = fails, together
        self._failed: Any = None

    def look(self, look: Look) -> Any:
        """What follows for each rollout."""
        values = self._statistic.values(look)
        fails = np.zeros((len(look.step), 3), dtype=bool)
        if values is not None:
            fails = values > self._limits
        if self._together:
            fails = fails.any(axis=1, keepdims=True)
        self._failed = fails if self._failed is None else self._failed + fails.astype(int)
        waits = self._together & fails.any(axis=1)
        goes = (look.passed >= seconds(self._policy)[look.step]) & ~waits
        bad = (self._failed >= self._fails).any(axis=1)
        return np.where(bad, ROLL_BACK, np.where(goes, ADVANCE, HOLD))

    def keep(self, which: Any) -> None:
        """Forgets all rollouts but these."""
        self._failed = self._failed[which]
        self._statistic.keep(which)


class Watched:
    """A rule that never objects, and notes the numbers: [looks][rollouts, 3]."""

    def __init__(self, statistic: Statistic, policy: Policy) -> None:
        self._statistic, self._policy = statistic, policy
        self.noted: list[Floats] = []

    def look(self, look: Look) -> Any:
        """Goes on by time."""
        values = self._statistic.values(look)
        if values is not None:
            self.noted.append(values)
        return np.where(look.passed >= seconds(self._policy)[look.step], ADVANCE, HOLD)

    def keep(self, which: Any) -> None:
        """All rollouts end at the same look."""


def seconds(policy: Policy) -> Floats:
    """The least time of each step, the last one's with the soak."""
    found = [step.seconds for step in policy.steps]
    return np.array([*found[:-1], max(found[-1], policy.analysis.soak_seconds)])
