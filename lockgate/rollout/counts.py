"""What two revisions counted in the same period: the raw material of every judgement."""

from collections.abc import Mapping
from datetime import datetime

from lockgate.records import Record

# Codes of answers that say nothing of the server: the client left before its answer.
LEFT = frozenset({"499"})


class Counts(Record):
    """What one revision's servers have counted.

    `codes` counts answers by HTTP status; `latency` counts them by the seconds they took: up to each of
    `latency_bounds`, and one more for longer ones. `scores` does so for the first row's score of every
    answered request, by its label ("" where there is one histogram); its bounds are `score_bounds`.
    `memory` is the largest share of its limit that a server's resident memory has (0: no limit known).
    """

    codes: Mapping[str, int] = {}
    latency: tuple[int, ...] = ()
    latency_bounds: tuple[float, ...] = ()
    scores: Mapping[str, tuple[int, ...]] = {}
    score_bounds: tuple[float, ...] = ()
    memory: float = 0.0

    @property
    def requests(self) -> int:
        """Answers whose client was there to get them."""
        return sum(count for code, count in self.codes.items() if code not in LEFT)

    @property
    def errors(self) -> int:
        """Answers other than 2xx.

        Refusals (4xx) are among them: a model that no longer takes its clients' rows answers 400 to all of
        them, and what is wrong with the clients' rows is refused by both revisions alike.
        """
        return sum(count for code, count in self.codes.items() if code not in LEFT and code[:1] != "2")

    def since(self, earlier: "Counts") -> "Counts":
        """What was counted after `earlier`; where a server began anew, what it has counted since then."""
        grown = all(self.codes.get(code, 0) >= count for code, count in earlier.codes.items())
        # A server that had no score yet has named no bounds.
        is_scored_alike = not earlier.scores or earlier.score_bounds == self.score_bounds
        if not grown or earlier.latency_bounds != self.latency_bounds or not is_scored_alike:
            return self
        scores = {
            label: _minus(counts, earlier.scores.get(label, ())) for label, counts in self.scores.items()
        }
        return self.model_copy(
            update={
                "codes": {code: count - earlier.codes.get(code, 0) for code, count in self.codes.items()},
                "latency": _minus(self.latency, earlier.latency),
                "scores": scores,
            }
        )

    def __add__(self, other: "Counts") -> "Counts":
        """Both servers' counts; where their histograms have other bounds, those of `other` are left out."""
        codes = {c: self.codes.get(c, 0) + other.codes.get(c, 0) for c in {*self.codes, *other.codes}}
        seconds, scores = self, self
        if not self.latency:
            seconds = other
        elif self.latency_bounds == other.latency_bounds:
            seconds = self.model_copy(update={"latency": _plus(self.latency, other.latency)})
        if not self.scores:
            scores = other
        elif self.score_bounds == other.score_bounds:
            labels = {*self.scores, *other.scores}
            values = {x: _plus(self.scores.get(x, ()), other.scores.get(x, ())) for x in labels}
            scores = self.model_copy(update={"scores": values})
        return Counts(
            codes=codes,
            latency=seconds.latency,
            latency_bounds=seconds.latency_bounds,
            scores=scores.scores,
            score_bounds=scores.score_bounds,
            memory=max(self.memory, other.memory),
        )


class Pair(Record):
    """The two revisions' answers to the same request.

    `difference` is that of their scores, in [0, 1]; `is_alike` says whether they decide alike. `request` is
    the hash of the request's body, and `scores` the stable's and the candidate's, for whoever learns later
    what came true.
    """

    difference: float
    is_alike: bool
    request: str = ""
    scores: tuple[float, float] | None = None


class Interval(Record):
    """What happened between two looks.

    `seconds` is its length; `live_seconds` how long the candidate has had requests at its end. `weight` is
    the candidate's wanted share of the traffic in percent; `is_steady` says that it was the same
    throughout, that the gateway had taken it, and that no copies were sent. `losses` are the candidate's
    losses minus the stable's on the same labelled requests, each in [-1, 1].
    """

    end: datetime
    seconds: float
    stable: Counts
    candidate: Counts
    weight: int = 0
    is_steady: bool = False
    live_seconds: float = 0.0
    pairs: tuple[Pair, ...] = ()
    losses: tuple[float, ...] = ()


def _minus(now: tuple[int, ...], before: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a - b for a, b in zip(now, before, strict=True)) if before else now


def _plus(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(x + y for x, y in zip(a, b, strict=True)) if a and b else a or b
