"""The simulated worlds: what the stable and the candidate answer second by second, and what is counted.

Requests come as a Poisson process and are split by a coin; each is answered, or fails, by itself. Everything
that varies in time (load, outages, cold caches) is averaged over the ten seconds of a look. A world has
several variants, that begin at different times of its day or have their outage at different times.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lockgate.rollout.counts import Counts
from lockgate.rollout.twosample import Floats
from serving.runtime.metrics import PROBABILITIES, SECONDS

LOOK = 10
HORIZON = 3600
VARIANTS = 16
RATE = 100.0
ERRORS = 0.01
MEDIAN, SPREAD = 0.04, 0.5
SCORE, SIGMA = 0.5, 0.15
DAY = 1800.0
OUTAGE, OUTAGE_ERRORS, OUTAGE_SLOWER = 180.0, 0.6, 5.0
COLD_SLOWER, COLD_SECONDS = 10.0, 10.0

# How the candidate's or both's answers vary: (seconds, variants) to factors or shares.
Course = Callable[[Floats, Floats], Floats]


@dataclass(frozen=True)
class World:
    """A scenario, in words and in numbers: courses of what both have in common, and the candidate's own.

    `rate` and `slower` are factors; `errors` a share; `cold` is a factor of the candidate's latency.
    """

    name: str
    said: str
    rate: Course
    errors: Course
    slower: Course
    cold: Course
    candidate_errors: float = ERRORS
    candidate_slower: float = 1.0
    candidate_shift: float = 0.0

    @property
    def is_healthy(self) -> bool:
        """Whether the candidate is the same as the stable, but for cold caches."""
        own = (self.candidate_errors, self.candidate_slower, self.candidate_shift)
        return own == (ERRORS, 1.0, 0.0)


def _always(value: float) -> Course:
    return lambda seconds, variant: np.full(np.broadcast_shapes(seconds.shape, variant.shape), value)


def _day(height: float, middle: float = 1.0) -> Course:
    return lambda seconds, variant: (
        middle * (1 + height * np.sin(2 * np.pi * (seconds / DAY + variant / VARIANTS)))
    )


def _outage(within: float, otherwise: float) -> Course:
    def course(seconds: Floats, variant: Floats) -> Floats:
        start = 37.0 + 31.0 * variant
        return np.where((seconds >= start) & (seconds < start + OUTAGE), within, otherwise)

    return course


def _cold(seconds: Floats, variant: Floats) -> Floats:
    return 1 + (COLD_SLOWER - 1) * np.exp(-seconds / COLD_SECONDS) + 0 * variant


STEADY = World("steady", "steady load", _always(1), _always(ERRORS), _always(1), _always(1))
HEALTHY = (
    STEADY,
    replace(
        STEADY,
        name="diurnal",
        said="a day in half an hour",
        rate=_day(0.8),
        errors=_day(0.5, ERRORS),
        slower=_day(0.3),
    ),
    replace(
        STEADY,
        name="outage",
        said="shared outage",
        errors=_outage(OUTAGE_ERRORS, ERRORS),
        slower=_outage(OUTAGE_SLOWER, 1.0),
    ),
    replace(STEADY, name="cold", said="cold start", cold=_cold),
)
BAD = (
    replace(STEADY, name="errors2", said="errors 1 % → 2 %", candidate_errors=0.02),
    replace(STEADY, name="errors5", said="errors 1 % → 5 %", candidate_errors=0.05),
    replace(STEADY, name="slow20", said="latency +20 %", candidate_slower=1.2),
    replace(STEADY, name="shift1", said="scores +0.1 σ", candidate_shift=0.1),
    replace(STEADY, name="shift5", said="scores +0.5 σ", candidate_shift=0.5),
)
WORLDS = {world.name: world for world in (*HEALTHY, *BAD)}


@dataclass(frozen=True)
class Side:
    """What one revision counted in one look, of each rollout: [rollouts] or [rollouts, bins]."""

    n: Any
    errors: Any
    latency: Any
    scores: Any

    def kept(self, which: Any) -> "Side":
        """The same of some of the rollouts."""
        return Side(self.n[which], self.errors[which], self.latency[which], self.scores[which])

    def counts(self, place: int) -> Counts:
        """One rollout's, as the servers' metrics have it."""
        failed = int(self.errors[place])
        return Counts(
            codes={"200": int(self.n[place]) - failed, "500": failed},
            latency=tuple(self.latency[place].tolist()),
            latency_bounds=SECONDS,
            scores={"": tuple(self.scores[place].tolist())},
            score_bounds=PROBABILITIES,
        )


@dataclass(frozen=True)
class Tables:
    """A world's numbers for each variant and look: what `counted` draws from."""

    rate: Floats
    errors: tuple[Floats, Floats]
    latency: tuple[Floats, Floats]
    scores: tuple[Floats, Floats]

    @classmethod
    def of(cls, world: World) -> "Tables":
        """Averages over each look; both revisions', the stable first."""
        seconds = np.arange(HORIZON, dtype=np.float64)[None, :] + 0.5
        variant = np.arange(VARIANTS, dtype=np.float64)[:, None]
        shared = world.errors(seconds, variant)
        extra = world.candidate_errors - ERRORS
        slower = world.slower(seconds, variant)
        own = slower * world.cold(seconds, variant) * world.candidate_slower
        return cls(
            rate=_averaged(RATE * world.rate(seconds, variant)) * LOOK,
            errors=(_averaged(shared), _averaged(np.minimum(shared + extra, 1))),
            latency=(_latency(slower), _latency(own)),
            scores=(_scores(0.0), _scores(world.candidate_shift)),
        )

    def counted(self, look: int, variant: Any, weight: Any, rng: np.random.Generator) -> tuple[Side, Side]:
        """What both revisions count in one look of each rollout.

        Args:
            look: its number.
            variant: of each rollout.
            weight: the candidate's share of the requests, in each rollout.
            rng: draws.
        """
        total = rng.poisson(self.rate[variant, look])
        candidate = rng.binomial(total, weight)
        found = []
        for place, n in enumerate((total - candidate, candidate)):
            errors = rng.binomial(n, self.errors[place][variant, look])
            latency = rng.multinomial(n, self.latency[place][variant, look])
            found.append(Side(n, errors, latency, rng.multinomial(n - errors, self.scores[place])))
        return found[0], found[1]

    def before(self, requests: int = 360_000) -> Counts:
        """What the stable has counted in the hour before: the expected counts, rounded."""
        side = Side(
            n=np.array([requests]),
            errors=np.array([round(ERRORS * requests)]),
            latency=np.rint(_latency(np.ones((1, LOOK)))[0] * requests).astype(int),
            scores=np.rint(self.scores[0] * requests * (1 - ERRORS)).astype(int)[None],
        )
        return side.counts(0)


def _averaged(values: Floats) -> Floats:
    return values.reshape(len(values), -1, LOOK, *values.shape[2:]).mean(axis=2)


def _latency(slower: Floats) -> Floats:
    """Shares of the histogram's bins, [variants, looks, bins], where the latency is so many times slower."""
    from scipy.special import ndtr

    bounds = np.log(np.asarray(SECONDS) / MEDIAN)
    found = []
    for bound in bounds:
        found.append(_averaged(ndtr((bound - np.log(slower)) / SPREAD)))
    return _binned(np.stack(found, axis=-1))


def _scores(shift: float) -> Floats:
    """Shares of the histogram's bins, where the scores are so many standard deviations higher."""
    from scipy.special import ndtr

    inner = ndtr((np.asarray(PROBABILITIES[:-1]) - SCORE) / SIGMA - shift)
    return _binned(np.append(inner, 1.0))


def _binned(below: Floats) -> Floats:
    edges = np.concatenate([np.zeros_like(below[..., :1]), below, np.ones_like(below[..., :1])], axis=-1)
    return np.diff(edges)


SCORE_SHARES = _scores(0.0)
