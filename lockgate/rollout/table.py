"""A rollout for people: its phase, a row like kubectl's, what was measured beside its limits. Pure."""

import math
from collections.abc import Mapping

from lockgate.rollout.policy import Policy
from lockgate.rollout.readings import Reading, odds
from lockgate.rollout.resource import Spec
from lockgate.rollout.status import ACTIVE, Phase, Status
from lockgate.shipping.names import REVISION_LABEL, revision_name


def shown(model: str, spec: Spec, status: Status, ready: int) -> Status:
    """The status with what people see of it; `ready` pods of the spec's stable revision take requests."""
    phases: Mapping[str, Phase] = {
        "": "Idle", "installing": "Preparing", "preparing": "Preparing", "mirroring": "Mirroring",
        "stepping": "Stepping", "soaking": "Soaking", "promoted": "Promoted", "rolledBack": "RolledBack",
    }  # fmt: skip
    named = {
        "stable_revision": revision_name(model, status.stable) if status.stable else "",
        "candidate_revision": revision_name(model, status.candidate) if status.candidate else "",
    }
    is_stepping = status.stage in {"stepping", "soaking"}
    return status.model_copy(
        update={
            "phase": "Holding" if status.is_held else phases[status.stage],
            "replicas": ready,
            "selector": f"{REVISION_LABEL}={named['stable_revision']}" if status.stable else "",
            "step_text": f"{status.step + 1}/{len(spec.steps)}" if is_stepping else "",
            **named,
        }
    )


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
