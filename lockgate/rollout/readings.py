"""The measures of a rollout as numbers and sentences, for status, events, reports and people."""

import math
from collections.abc import Iterator

from pydantic import Field

from lockgate.rollout.evidence import Evidence, Ledger
from lockgate.rollout.policy import Part, Policy
from lockgate.rollout.shares import Shares

# An e-value beside another gets at most so many digits more, less one.
DIGITS = 5


class Reading(Part):
    """One measure: what both revisions counted, and what it proves."""

    measure: str = Field(description="Which measure it is.")
    sentence: str = Field(description="What was measured.")
    stable: float | None = Field(
        default=None, description="The stable's share or mean, in the unit that the sentence names."
    )
    candidate: float | None = Field(
        default=None, description="The candidate's share or mean, in the unit that the sentence names."
    )
    stable_requests: int = Field(default=0, description="Of so many of the stable's requests.")
    candidate_requests: int = Field(default=0, description="Of so many of the candidate's requests.")
    against: float = Field(
        default=0.0, description='Logarithm of the e-value against "within the tolerance".'
    )
    for_it: float | None = Field(
        default=None,
        description='Logarithm of the e-value for "within the margin of the next weight"; '
        "none where the measure can only object.",
    )


def readings(policy: Policy, evidence: Evidence) -> tuple[Reading, ...]:
    """All measures of the policy, the split last."""
    # The evidence for the weight that comes next; at the last step that is 100 % itself.
    following = min(evidence.step + 1, len(policy.steps) - 1)
    found = {reading.measure: reading for reading in _all(evidence.ledger, following)}
    return tuple(found[name] for name in (*policy.analysis.measures, "split") if name in found)


def odds(log: float, beside: float | None = None) -> str:
    """An e-value for people, from its logarithm.

    Args:
        log: of the e-value.
        beside: that of another one that stands next to it; this one gets the digits that tell them apart.
    """
    said = _odds(log, 0)
    if beside is None or beside == log:
        return said
    other = _odds(beside, 0)
    return next((more for digits in range(DIGITS) if (more := _odds(log, digits)) != other), said)


def _odds(log: float, more: int) -> str:
    """With so many digits more than the two or more that are usual."""
    if log > math.log(1e6):
        return "over a million"
    return f"{math.exp(log):,.{more}f}" if log > math.log(20) else f"{math.exp(log):.{2 + more}g}"


def _all(ledger: Ledger, following: int) -> Iterator[Reading]:
    yield _share("errors", ledger.errors, following, "of the requests failed")
    yield _share("latency", ledger.latency, following, f"of the requests took more than {ledger.seconds:g} s")
    if ledger.scores is not None:
        yield _scores(ledger, ledger.scores, following)
    seen = ledger.agreement
    rate, size = (seen.unlike / seen.n, seen.difference / seen.n) if seen.n else (0.0, 0.0)
    yield Reading(
        measure="agreement",
        sentence=f"of {seen.n:,} requests with two answers {rate:.2%} were decided otherwise, "
        f"scores differ by {size:.3f}",
        candidate=rate,
        candidate_requests=seen.n,
        against=seen.harm_e(),
    )
    lost = ledger.labels
    mean = lost.difference / lost.n if lost.n else 0.0
    yield Reading(
        measure="labels",
        sentence=f"on {lost.n:,} labelled requests the candidate's loss is {mean:+.4f} beside the stable's",
        candidate=mean,
        candidate_requests=lost.n,
        against=lost.harm_e(),
    )
    yield _split(ledger)


def _share(name: str, shares: Shares, following: int, what: str) -> Reading:
    stable = shares.stable_k[0] / shares.stable_n if shares.stable_n else 0.0
    candidate = shares.candidate_k[0] / shares.candidate_n if shares.candidate_n else 0.0
    return Reading(
        measure=name,
        sentence=f"{candidate:.2%} {what} ({shares.candidate_k[0]:,.0f} of {shares.candidate_n:,.0f}), "
        f"{stable:.2%} of the stable's ({shares.stable_k[0]:,.0f} of {shares.stable_n:,.0f})",
        stable=stable,
        candidate=candidate,
        stable_requests=int(shares.stable_n),
        candidate_requests=int(shares.candidate_n),
        against=shares.harm_e(),
        for_it=shares.safe_e(following),
    )


def _scores(ledger: Ledger, shares: Shares, following: int) -> Reading:
    place, difference = shares.largest()
    inner = ledger.score_bounds[: max(0, len(ledger.score_bounds) - 1)]
    if place < len(inner):
        what = f"scores up to {inner[place]:g}"
    else:
        what = f"the answer {ledger.score_labels[place - len(inner)]}"
    return Reading(
        measure="scores",
        sentence=f"the share of {what} is {difference:+.2%} beside the stable's "
        f"({shares.candidate_n:,.0f} and {shares.stable_n:,.0f} requests)",
        candidate=difference,
        stable_requests=int(shares.stable_n),
        candidate_requests=int(shares.candidate_n),
        against=shares.harm_e(),
        for_it=shares.safe_e(following),
    )


def _split(ledger: Ledger) -> Reading:
    observed = ledger.split.observed()
    if observed is None:
        sentence = f"no request was split at {ledger.split.weight} % yet"
    else:
        share, low, high = observed
        sentence = (
            f"the candidate got {share:.2f} % of {ledger.split.total:,} requests (99 % interval {low:.2f} to "
            f"{high:.2f} %), {ledger.split.weight} % are wanted"
        )
    return Reading(
        measure="split",
        sentence=sentence,
        stable=ledger.split.weight / 100,
        candidate=None if observed is None else observed[0] / 100,
        candidate_requests=ledger.split.candidate,
        stable_requests=ledger.split.total - ledger.split.candidate,
        against=ledger.split.harm_e(),
    )
