"""What follows from the evidence: the candidate goes back, goes on, or waits. Pure: no clock, no I/O."""

import math
from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from typing import Any

import numpy as np

from lockgate.records import Record
from lockgate.rollout.evidence import Evidence, Ledger
from lockgate.rollout.measures import infrastructure
from lockgate.rollout.policy import MeasureName, Policy
from lockgate.rollout.readings import Reading, odds, readings
from lockgate.rollout.twosample import Floats, log_mean

# The split's part of α: a gateway that does not follow is off by so much that it needs no more.
SPLIT_PART = 0.05
# With so much evidence against a candidate, to one, its traffic does not rise.
DOUBT = 3.0


class Action(Enum):
    """What is to be done."""

    ROLL_BACK = "roll back"
    ADVANCE = "advance"
    HOLD = "hold"


class Code(Enum):
    """Why, in one word, as Kubernetes' conditions and events have it."""

    ERRORS = "Errors"
    LATENCY = "Latency"
    SCORES = "Scores"
    AGREEMENT = "Agreement"
    LABELS = "Labels"
    SPLIT = "SplitNotFollowed"
    INFRASTRUCTURE = "Infrastructure"
    NO_TRAFFIC = "NoTraffic"
    NO_METRICS = "NoMetrics"
    SOURCE_FAILING = "MetricsSourceFailing"
    NOT_ENOUGH = "NotEnoughEvidence"
    MINIMUM_TIME = "MinimumTime"
    FINE = "Fine"


BAD: dict[str, Code] = {
    "errors": Code.ERRORS,
    "latency": Code.LATENCY,
    "scores": Code.SCORES,
    "agreement": Code.AGREEMENT,
    "labels": Code.LABELS,
    "split": Code.SPLIT,
}
NOTHING = {
    "no_traffic": (Code.NO_TRAFFIC, "no requests come"),
    "no_metrics": (Code.NO_METRICS, "the revisions' servers have no metrics"),
    "failing": (Code.SOURCE_FAILING, "the metrics cannot be read"),
}


class Decision(Record):
    """An action, its reason as a word and as a sentence, and the readings behind it."""

    action: Action
    code: Code
    reason: str
    readings: tuple[Reading, ...] = ()


def decide(policy: Policy, evidence: Evidence, now: datetime) -> Decision:
    """Judges a candidate.

    Bad is rolled back: pods that fail, or evidence of 1/α against any measure. The mean of the measures'
    e-values is itself an e-value, over all looks and all steps of the rollout, so the chance that a candidate
    within every tolerance is ever rolled back for its evidence is at most α, however often this is asked
    (Ville, 1939; Vovk and Wang, "E-values: calibration, combination and applications", 2021).

    Enough and fine goes on: the step has had its time, for every measure the evidence that the candidate
    stays within the margin of the next weight has reached 1/(1 - power), and nothing speaks against it: with
    more evidence than `DOUBT` that it is bad, it gets no more requests than it has, until that is settled.

    Everything else waits; at the step's deadline what waits goes back, as evidence that did not come is no
    evidence of health.

    Args:
        policy: of the rollout.
        evidence: so far.
        now: UTC.
    """
    found = readings(policy, evidence)
    if bad := _bad(policy, evidence, found):
        return Decision(action=Action.ROLL_BACK, code=bad[0], reason=bad[1], readings=found)
    waits = _waits(policy, evidence, found, now)
    if waits is None:
        return Decision(action=Action.ADVANCE, code=Code.FINE, reason=_fine(policy, evidence), readings=found)
    code, reason = waits
    passed = (now - evidence.since).total_seconds()
    deadline = policy.analysis.deadline_seconds
    if code is not Code.MINIMUM_TIME and passed >= deadline:
        late = f"after {passed:.0f} s {_where(policy, evidence)}, where {deadline:g} s are allowed"
        reason = f"not enough evidence {late}: {reason}"
        return Decision(action=Action.ROLL_BACK, code=code, reason=reason, readings=found)
    return Decision(action=Action.HOLD, code=code, reason=reason, readings=found)


def harm(policy: Policy, ledger: Ledger) -> tuple[float, str]:
    """The logarithm of the e-value against "within every tolerance", and the measure with the largest part.

    The split is an hypothesis like those of the measures, and shares their α.
    """
    logs: dict[MeasureName | str, float] = {}
    for name in policy.analysis.measures:
        measure = getattr(ledger, name)
        logs[name] = 0.0 if measure is None else measure.harm_e()
    against = pooled(np.array(list(logs.values()) or [0.0]), ledger.split.harm_e())
    logs["split"] = ledger.split.harm_e()
    return float(against), max(logs, key=lambda name: logs[name])


def pooled(measures: Floats, split: Any) -> Floats:
    """The logarithm of the mean of the measures' e-values, [..., measures], and of the split's."""
    shared = log_mean(measures) + math.log(1 - SPLIT_PART)
    return np.asarray(np.logaddexp(shared, split + math.log(SPLIT_PART)), dtype=np.float64)


def _bad(policy: Policy, evidence: Evidence, found: tuple[Reading, ...]) -> tuple[Code, str] | None:
    if said := infrastructure.fault(evidence.pods, policy):
        return Code.INFRASTRUCTURE, said
    against, name = harm(policy, evidence.ledger)
    if against < -math.log(policy.analysis.alpha):
        return None
    reading = next(r for r in found if r.measure == name)
    return BAD[name], (
        f"{reading.sentence}; the evidence that this is more than is allowed is {odds(against)} to 1, "
        f"the limit is {1 / policy.analysis.alpha:,.0f} to 1"
    )


def _waits(
    policy: Policy, evidence: Evidence, found: tuple[Reading, ...], now: datetime
) -> tuple[Code, str] | None:
    """Why the rollout does not go on yet; None where it may."""
    passed = max(0.0, (now - evidence.since).total_seconds())
    least = _least_seconds(policy, evidence)
    if evidence.source.state != "ok":
        code, said = NOTHING[evidence.source.state]
        return code, f"{said}: {evidence.source.said}" if evidence.source.said else said
    if lacking := next(_lacking(policy, evidence, found), None):
        return Code.NOT_ENOUGH, lacking
    if passed < least:
        return (
            Code.MINIMUM_TIME,
            f"{passed:.0f} of at least {least:.0f} s {_where(policy, evidence)} have passed",
        )
    return None


def _lacking(policy: Policy, evidence: Evidence, found: tuple[Reading, ...]) -> Iterator[str]:
    """What each measure still lacks for the next step."""
    ledger, analysis = evidence.ledger, policy.analysis
    wanted = -math.log(1 - analysis.power)
    if evidence.stage == "mirroring":
        if "agreement" in analysis.measures and ledger.agreement.n < analysis.agreement.requests:
            yield f"{ledger.agreement.n} of {analysis.agreement.requests} mirrored requests have two answers"
        return
    if not ledger.split.seen:
        yield f"the candidate has had no request {_where(policy, evidence)}"
    if evidence.stage == "soaking":
        for name, log in zip(("errors", "latency"), ledger.soak, strict=True):
            if name in analysis.measures and log < wanted:
                yield f"{name} at 100 % are not yet known to stay within the margin of what the stable had"
        return
    against, name = harm(policy, ledger)
    if against >= math.log(DOUBT):
        reading = next(r for r in found if r.measure == name)
        yield (
            f"{reading.sentence}; the evidence that this is more than is allowed is {odds(against)} to 1, "
            f"and above {DOUBT:g} to 1 no step follows"
        )
    if "scores" in analysis.measures and ledger.scores is None:
        yield "no scores were counted yet"
    for reading in found:
        if reading.for_it is not None and reading.for_it < wanted:
            yield (
                f"{reading.sentence}; the evidence that it stays within the margin at "
                f"{policy.next_weight(evidence.step)} % is {odds(reading.for_it, wanted)} to 1, "
                f"{odds(wanted)} to 1 are needed"
            )


def _least_seconds(policy: Policy, evidence: Evidence) -> float:
    match evidence.stage:
        case "mirroring":
            return policy.mirror.seconds
        case "stepping":
            return policy.steps[evidence.step].seconds
        case "soaking":
            return max(policy.analysis.soak_seconds, policy.steps[-1].seconds)


def _where(policy: Policy, evidence: Evidence) -> str:
    return "of mirroring" if evidence.stage == "mirroring" else f"at {policy.steps[evidence.step].weight} %"


def _fine(policy: Policy, evidence: Evidence) -> str:
    if evidence.stage == "soaking":
        return "every measure stayed within its margin up to 100 %, and the soak found nothing"
    if evidence.stage == "mirroring":
        return f"{evidence.ledger.agreement.n} mirrored requests found nothing"
    return f"every measure is known to stay within its margin at {policy.next_weight(evidence.step)} %"
