"""All that a rollout has shown so far: a fold over intervals, small enough to be kept between two looks."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import numpy as np

from lockgate.records import Record
from lockgate.rollout.betting import log_e_share
from lockgate.rollout.counts import Counts, Interval
from lockgate.rollout.measures import agreement, errors, labels, latency, scores, split
from lockgate.rollout.measures.agreement import Agreement
from lockgate.rollout.measures.infrastructure import Pods
from lockgate.rollout.measures.labels import Losses
from lockgate.rollout.measures.latency import DEFAULT_SECONDS
from lockgate.rollout.measures.scores import ScoreShares
from lockgate.rollout.measures.split import Split
from lockgate.rollout.policy import Policy
from lockgate.rollout.shares import Shares
from lockgate.rollout.twosample import Floats

Stage = Literal["mirroring", "stepping", "soaking"]
# What of the analysis the e-values depend on.
LIMITS = {"errors", "latency", "scores", "agreement", "labels", "split_tolerance"}
SourceState = Literal["ok", "no_traffic", "no_metrics", "failing"]


class Source(Record):
    """Whether the last look brought counts; `said` is why not, as a phrase."""

    state: SourceState = "ok"
    said: str = ""


class Ledger(Record):
    """The evidence of one rollout.

    `seconds` is the latency measure's limit; `score_labels` and `score_bounds` say what the score measure's
    cuts are. All three are fixed when the rollout begins, so that the data do not choose what they are
    judged by. `rules` are the policy's, by which it was begun. `soak` holds, for errors and latency, the
    evidence of the present soak where no stable requests are there to compare with.
    """

    errors: Shares
    latency: Shares
    scores: ScoreShares | None = None
    agreement: Agreement = Agreement()
    labels: Losses = Losses()
    split: Split
    rules: str
    seconds: float = DEFAULT_SECONDS
    score_labels: tuple[str, ...] = ()
    score_bounds: tuple[float, ...] = ()
    soak: tuple[float, float] = (0.0, 0.0)
    looks: int = 0


class Evidence(Record):
    """What `decide` judges.

    `step` is the present step's place, -1 before the first; `since` when it, or the stage, began.
    """

    stage: Stage
    step: int
    since: datetime
    ledger: Ledger
    source: Source = Source()
    pods: Pods = Pods()


def begin(policy: Policy, before: Counts) -> Ledger:
    """The ledger of a rollout that begins.

    Args:
        policy: of the rollout.
        before: what the stable's servers have counted until now; may be empty.
    """
    seconds = latency.limit(policy, before)
    slow = latency.over(before, seconds) if before.latency else 0
    known, timed = before.requests, sum(before.latency)
    return Ledger(
        errors=errors.begin(policy, _first(before.errors, known, errors.GUESS)),
        latency=latency.begin(policy, _first(slow, timed, latency.SLOW)),
        scores=scores.begin(policy, before) if before.scores else None,
        split=Split.begin(len(policy.steps)),
        rules=rules(policy),
        seconds=seconds,
        score_labels=tuple(sorted(before.scores)),
        score_bounds=before.score_bounds,
    )


def rules(policy: Policy) -> str:
    """What the evidence is evidence on: weights and limits, as text.

    Under others it proves nothing. What α, power and times make of it is no part of them.
    """
    limits = policy.analysis.model_dump_json(include=LIMITS)
    return f"{','.join(map(str, policy.carried))} {limits}"


def folded(ledger: Ledger, interval: Interval, policy: Policy) -> Ledger:
    """The ledger with one more interval."""
    if ledger.scores is None and interval.stable.scores:
        # The stable had answered nothing before: its first scores say what the cuts are, and are not judged.
        counts = interval.stable
        ledger = ledger.model_copy(
            update={
                "scores": scores.begin(policy, counts),
                "score_labels": tuple(sorted(counts.scores)),
                "score_bounds": counts.score_bounds,
            }
        )
        interval = interval.model_copy(update={"stable": counts.model_copy(update={"scores": {}})})
    soak = _soaked(ledger, interval, policy) if interval.weight == 100 else (0.0, 0.0)
    return ledger.model_copy(
        update={
            "errors": errors.folded(ledger.errors, interval, policy),
            "latency": latency.folded(ledger.latency, interval, policy, ledger.seconds),
            "scores": ledger.scores
            and scores.folded(ledger.scores, interval, policy, ledger.score_labels, ledger.score_bounds),
            "agreement": agreement.folded(ledger.agreement, interval, policy),
            "labels": labels.folded(ledger.labels, interval, policy),
            "split": split.folded(ledger.split, interval, policy),
            "soak": soak,
            "looks": ledger.looks + 1,
        }
    )


def _first(hits: int, trials: int, guess: float) -> float:
    return (hits + guess) / (trials + 1)


def _soaked(ledger: Ledger, interval: Interval, policy: Policy) -> tuple[float, float]:
    """The logarithms of the evidence against "at 100 % it exceeds what the stable had by the margin".

    Where no stable requests come in the same period, the stable's last known share stands for them. A bad
    period sets it back to nothing, not further (Page's cumulative sum, 1954), as it may have had other
    causes: the soak goes on until the candidate is fine again, or to its deadline.
    """
    analysis, candidate = policy.analysis, interval.candidate
    blocks: Sequence[tuple[Shares, int, int, float]] = (
        (ledger.errors, candidate.requests, candidate.errors, analysis.errors.margin),
        (
            ledger.latency,
            sum(candidate.latency),
            latency.over(candidate, ledger.seconds) if candidate.latency else 0,
            analysis.latency.margin,
        ),
    )
    found = []
    for before, (shares, n, k, margin) in zip(ledger.soak, blocks, strict=True):
        found.append(float(soaked(before, n, k, shares.level[0], margin)))
    return found[0], found[1]


def soaked(before: Any, n: Any, k: Any, level: Any, margin: float) -> Floats:
    """The soak's evidence after `n` more requests with `k` hits, where the stable had the share `level`."""
    level = np.asarray(level)
    limit = np.minimum(level + margin, 0.9)
    # After a step in the midst of an outage the level may be above the limit: what is below is better.
    expected = np.minimum(level, limit - margin / 2)
    gained = log_e_share(n, np.asarray(n) - k, 1 - limit, 1 - expected)
    return np.asarray(np.maximum(0.0, before + gained), dtype=np.float64)
