"""All rollouts of the comparison, on as many processes as there are cores: calibrated, then measured."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from bench.rollout import calibrate
from bench.rollout.contest import DOCUMENTED, LOCKGATE, TUNED, Contestant, measured, noted
from bench.rollout.ours import POLICY
from bench.rollout.simulate import Outcome
from bench.rollout.world import BAD, HEALTHY
from lockgate.rollout.twosample import Floats

# Rollouts of one task: what fits the cache of a small machine.
CHUNK = 1000
# Ours is calibrated to somewhat less than the rivals, so that chance does not make it look better.
OURS_PART = 0.9
# Seeds of the three uses have nothing in common.
CALIBRATION, CHOICE, TABLE = 1, 2, 3


@dataclass(frozen=True)
class Measured:
    """A rule and how its rollouts ended, by world."""

    contestant: Contestant
    outcomes: Mapping[str, Outcome]

    def mean_hits(self, world: str) -> float:
        """Requests that a bad candidate has answered, on average."""
        return float(self.outcomes[world].hits.mean())


class Measuring:
    """Spreads rollouts over processes.

    Args:
        healthy: rollouts a healthy world.
        bad: rollouts a bad one.
    """

    def __init__(self, healthy: int, bad: int) -> None:
        self._rollouts = {world.name: healthy for world in HEALTHY} | {world.name: bad for world in BAD}
        self._pool = ProcessPoolExecutor(os.cpu_count())

    def close(self) -> None:
        """Ends the processes."""
        self._pool.shutdown()

    def documented(self) -> list[Measured]:
        """All rules as they are documented."""
        return self._measured(DOCUMENTED, list(self._rollouts), TABLE)

    def calibrated(self) -> list[Measured]:
        """Ours, and the best of each way, each with α of wrong rollbacks in its worst healthy world."""
        tuned = [one for ways in TUNED.values() for one in ways]
        alpha = POLICY.analysis.alpha
        # So small that nothing is rolled back before the others would be.
        bodies = self._noted([replace(LOCKGATE, alpha=1e-30), *tuned])
        ours = replace(
            LOCKGATE,
            title="Lockgate, wrong rollbacks as the others'",
            alpha=calibrate.alpha(bodies[0], OURS_PART * alpha),
        )
        limited = [
            replace(one, limits=tuple(calibrate.limits(worlds, alpha, one.fails).tolist()))
            for one, worlds in zip(tuned, bodies[1:], strict=True)
        ]
        tried = iter(self._measured(limited, [world.name for world in BAD], CHOICE))
        best = [min((next(tried) for _ in ways), key=_cost).contestant for ways in TUNED.values()]
        return self._measured([ours, *best], list(self._rollouts), TABLE)

    def _measured(self, contestants: Sequence[Contestant], worlds: Sequence[str], use: int) -> list[Measured]:
        tasks = {
            (one, world): [
                self._pool.submit(measured, one, world, size, _seed(use, world, part))
                for part, size in enumerate(self._sizes(world))
            ]
            for one, world in product(contestants, worlds)
        }
        return [
            Measured(one, {w: Outcome.joined([part.result() for part in tasks[one, w]]) for w in worlds})
            for one in contestants
        ]

    def _noted(self, contestants: Sequence[Contestant]) -> list[list[Floats]]:
        """The numbers of each rule, a world each; rules that differ in nothing that is noted share them."""
        keys = [replace(one, title="", fails=1) for one in contestants]
        tasks = {
            (key, world.name): [
                self._pool.submit(noted, key, world.name, size, _seed(CALIBRATION, world.name, part))
                for part, size in enumerate(self._sizes(world.name))
            ]
            for key, world in product(dict.fromkeys(keys), HEALTHY)
        }
        found = {
            (key, world): np.concatenate([part.result() for part in parts], axis=int(key.kind != "ours"))
            for (key, world), parts in tasks.items()
        }
        return [[found[key, world.name] for world in HEALTHY] for key in keys]

    def _sizes(self, world: str) -> list[int]:
        rollouts = self._rollouts[world]
        return [min(CHUNK, rollouts - start) for start in range(0, rollouts, CHUNK)]


def _seed(use: int, world: str, part: int) -> int:
    names = [known.name for known in (*HEALTHY, *BAD)]
    return 1_000_000 * use + 10_000 * names.index(world) + part


def _cost(found: Measured) -> float:
    """What the bad candidates cost on the whole: the mean logarithm of the requests hit."""
    return float(np.mean([np.log(found.mean_hits(world.name)) for world in BAD]))
