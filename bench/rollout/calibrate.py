"""Limits by which a rival rolls back at most α of the healthy candidates, in the worst world.

Seeds are other ones than those that the table is measured with. A rival that goes on by time alone has the
same looks in every healthy rollout, so its numbers are noted once, and limits are tried on what was noted.
"""

from collections.abc import Sequence

import numpy as np

from bench.rollout.rivals import Statistic, Watched
from bench.rollout.simulate import run
from bench.rollout.world import World
from lockgate.rollout.policy import Policy
from lockgate.rollout.twosample import Floats

HALVINGS = 30


def noted(statistic: Statistic, policy: Policy, world: World, rollouts: int, seed: int) -> Floats:
    """The numbers of healthy rollouts, [looks, rollouts, 3]."""
    watched = Watched(statistic, policy)
    run(world, watched, policy, rollouts, seed)
    return np.stack(watched.noted)


def alpha(largest: Sequence[Floats], wanted: float) -> float:
    """The α at which our rule rolls back the wanted share of the healthy candidates, in the worst world.

    Args:
        largest: logarithms of the largest e-value that each rollout has seen, a world each.
        wanted: share.
    """
    limit = max(float(np.quantile(world, 1 - wanted, method="higher")) for world in largest)
    # Evidence that is as large as the limit rolls back.
    return float(np.exp(-np.nextafter(limit, np.inf)))


def limits(worlds: Sequence[Floats], alpha: float, fails: int) -> Floats:
    """The lowest limits on the three numbers for which at most α go back wrongly in every world.

    Each number gets the same share of the wrong rollbacks, as far as they can be told apart.

    Args:
        worlds: numbers of healthy rollouts, [looks, rollouts, 3] each.
        alpha: wanted.
        fails: looks over a limit that it takes.
    """
    filled = [np.where(np.isnan(world), -np.inf, world) for world in worlds]
    # So many looks of a rollout reach the `fails`-th largest number of it.
    worst = [np.sort(world, axis=0)[-fails] for world in filled]
    low, high = 0.0, alpha
    found = _at(worst, 0.0)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        tried = _at(worst, middle)
        if max(wrong(world, tried, fails) for world in filled) <= alpha:
            low, found = middle, tried
        else:
            high = middle
    return found


def wrong(world: Floats, tried: Floats, fails: int) -> float:
    """The share of the rollouts that these limits roll back."""
    return float(((world > tried).sum(axis=0) >= fails).any(axis=1).mean())


def _at(worst: Sequence[Floats], share: float) -> Floats:
    return np.max([np.quantile(world, 1 - share, axis=0, method="higher") for world in worst], axis=0)
