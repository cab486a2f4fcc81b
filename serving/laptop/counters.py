"""What the laptop's model servers count and answer, and what came true of the requests some seconds later."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from lockgate.rollout.counts import Pair
from lockgate.shipping.names import revision_name
from serving.controller.ports import Counters, Rollout, Side
from serving.controller.scrape import ScrapedCounters, Server, Servers
from serving.laptop.ports import Machine

# Labels come later than answers, here by so much.
LATE_SECONDS = 5.0


@dataclass(frozen=True)
class Labelled:
    """What came true of requests, 1 or 0, by the hash of the request's body."""

    truths: Mapping[str, int]

    @classmethod
    def of(cls, bodies: Sequence[bytes], truths: Sequence[int | None]) -> "Labelled":
        """Of bodies and what came true of each, None where nobody knows."""
        known = zip(bodies, truths, strict=True)
        return cls({blake2b(b, digest_size=8).hexdigest(): t for b, t in known if t is not None})


class LabelledCounters(ScrapedCounters):
    """Scraped counters that learn some seconds later what came true of the requests with two answers."""

    def __init__(self, machine: Machine, labelled: Labelled) -> None:
        super().__init__(lambda rollout, names: _servers(machine, rollout, names))
        self._truths = labelled.truths
        self._late: deque[tuple[float, Pair]] = deque()

    def pairs(self, rollout: Rollout, names: Mapping[Side, str]) -> tuple[Pair, ...]:
        """As scraped; remembered until their labels come."""
        found = super().pairs(rollout, names)
        due = time.monotonic() + LATE_SECONDS
        self._late.extend((due, pair) for pair in found if pair.request in self._truths)
        return found

    def losses(self, rollout: Rollout, names: Mapping[Side, str]) -> tuple[float, ...]:  # noqa: ARG002
        """Differences of the squared error (Brier, 1950) of those whose labels have come by now."""
        found = []
        while self._late and self._late[0][0] <= time.monotonic():
            pair = self._late.popleft()[1]
            assert pair.scores is not None
            truth = self._truths[pair.request]
            stable, candidate = ((score - truth) ** 2 for score in pair.scores)
            found.append(candidate - stable)
        return tuple(found)


def counters(machine: Machine, labelled: Labelled | None) -> Counters:
    """The counters of the machine's servers, with what came true of the requests where somebody knows."""
    if labelled is not None:
        return LabelledCounters(machine, labelled)
    return ScrapedCounters(lambda rollout, names: _servers(machine, rollout, names))


def _servers(machine: Machine, rollout: Rollout, names: Mapping[Side, str]) -> Servers:
    revisions = {
        revision_name(rollout.model, r.digest): r.digest
        for r in (rollout.spec.stable, rollout.spec.candidate)
        if r
    }
    return {
        side: [
            Server(server.identity, f"http://{server.address}", revision=revisions.get(name, ""))
            for server in machine.servers(name)
            if server.address
        ]
        for side, name in names.items()
    }
