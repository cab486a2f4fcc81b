"""A model's rollout for people: a row like kubectl's, and what was measured beside its limits. Pure."""

import math
from collections.abc import Mapping

from lockgate.rollout.lifecycle import ACTIVE
from lockgate.rollout.policy import Policy
from lockgate.rollout.readings import Reading, odds
from lockgate.rollout.resource import Status


def row(model: str, status: Status) -> Mapping[str, str]:
    """A model by the columns of `kubectl get modelrollouts`, but for its age; the split has no bounds."""
    is_on = status.stage in ACTIVE
    return {
        "model": model,
        "stable": status.stable_revision,
        "candidate": status.candidate_revision if is_on or status.candidate != status.stable else "",
        "step": status.step_text,
        "wanted": f"{status.weight} %" if is_on else "",
        "observed": f"{status.observed.split()[0]} %" if is_on and status.observed else "",
        "phase": status.phase,
    }


def measured(reading: Reading, policy: Policy) -> str:
    """A measure as a sentence, with the evidence and the limits that it is held against."""
    limit = -math.log(policy.analysis.alpha)
    against = odds(reading.against, limit)
    said = f"{reading.sentence}; evidence against it {against} to 1, of {1 / policy.analysis.alpha:,.0f} to 1"
    if reading.for_it is None:
        return said
    needed = -math.log(1 - policy.analysis.power)
    return f"{said}; for the next step {odds(reading.for_it, needed)} to 1, of {odds(needed)} to 1"
