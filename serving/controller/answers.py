"""Pairs of answers to the same request, from what the servers of both sides say at /lockgate/answers.

A copy of a request has the same body, so both answers are found by the body's hash, whichever pods gave
them. One side's answer waits for the other's, of which the server may not have told yet.
"""

import json
from collections import deque
from collections.abc import Mapping
from typing import Any

from lockgate.rollout.counts import Pair
from serving.controller.ports import Side

PATH = "/lockgate/answers"
# So many answers of each side wait; the oldest go first.
WAITING = 20_000


class Answers:
    """The answers of two revisions, joined by request.

    Args:
        names: of the revisions, by side.
        scale: of a regression, the labels' standard deviation, which its differences are divided by; without
        one its answers make no pairs.
    """

    def __init__(self, names: Mapping[Side, str], scale: float | None = None) -> None:
        self.names, self._scale = dict(names), scale
        self._next: dict[str, int] | None = None
        self._waiting: dict[Side, Waiting] = {"stable": Waiting(), "candidate": Waiting()}

    def path(self, url: str, identity: str) -> str:
        """Where the server's answers since the last time are."""
        return f"{url}{PATH}?after={(self._next or {}).get(identity, 0)}"

    def joined(self, said: Mapping[str, tuple[Side, str]]) -> tuple[Pair, ...]:
        """The pairs that came together; the first time none, as what was said before that does not count.

        Args:
            said: the answers of each server, as it gave them, with its side, by its identity.
        """
        is_first, known = self._next is None, dict(self._next or {})
        pairs = []
        for identity, (side, text) in said.items():
            found = json.loads(text)
            known[identity] = int(found["next"])
            if not is_first:
                pairs += [pair for answer in found["answers"] if (pair := self._met(side, answer))]
        self._next = known
        return tuple(pairs)

    def _met(self, side: Side, answer: Mapping[str, Any]) -> Pair | None:
        """The pair that this answer makes with one that waits; else it waits itself."""
        request = answer["request"]
        scale = 1.0 if answer["label"] is not None else self._scale
        if not scale:
            return None
        other = self._waiting["candidate" if side == "stable" else "stable"].take(request)
        if other is None:
            self._waiting[side].add(request, answer)
            return None
        apart = abs(answer["score"] - other["score"]) / scale
        both = (answer, other) if side == "stable" else (other, answer)
        return Pair(
            difference=min(apart, 1.0),
            is_alike=answer["label"] == other["label"],
            request=request,
            scores=(both[0]["score"], both[1]["score"]),
        )


class Waiting:
    """Answers by request, the oldest of which are forgotten; the same request may have several."""

    def __init__(self) -> None:
        self._by_request: dict[str, deque[Mapping[str, Any]]] = {}
        self._count = 0

    def add(self, request: str, answer: Mapping[str, Any]) -> None:
        """Keeps an answer."""
        self._by_request.setdefault(request, deque()).append(answer)
        self._count += 1
        if self._count > WAITING:
            oldest = next(iter(self._by_request))
            self.take(oldest)

    def take(self, request: str) -> Mapping[str, Any] | None:
        """Gives and forgets the oldest answer to a request; None where there is none."""
        answers = self._by_request.get(request)
        if answers is None:
            return None
        self._count -= 1
        found = answers.popleft()
        if not answers:
            del self._by_request[request]
        return found
