"""What the API server checks of a ModelRollout beside types and bounds: the models' validators, as CEL.

The validators' own sentences name the values; CEL's cost limits leave none for that here.
"""

from collections.abc import Mapping

from pydantic import BaseModel

from lockgate.rollout.policy import Difference
from lockgate.rollout.resource import GATEWAY, ModelRevision, Spec, Traffic

Rule = dict[str, str]
RULES: Mapping[type[BaseModel], tuple[Rule, ...]] = {
    Difference: (
        {
            "rule": "self.margin > self.tolerance",
            "message": "margin must be more than tolerance",
        },
    ),
    ModelRevision: (
        {
            "rule": "self.storageUri.endsWith(self.digest)",
            "message": "storageUri must end with the digest",
        },
    ),
    Traffic: (
        {
            "rule": f'self.via != "knative" || self.gateway == "{GATEWAY}"',
            "message": "Knative splits the requests; leave gateway out, or via",
        },
    ),
    Spec: (
        {
            "rule": "self.steps.map(s, s.weight).isSorted() && "
            "self.steps.all(a, self.steps.exists_one(b, a.weight == b.weight)) && "
            "self.steps.exists(s, s.weight == 100)",
            "message": "weights must rise, and the last must be 100",
            "fieldPath": ".steps",
        },
        {
            "rule": "!has(self.candidate) || self.candidate.digest != self.stable.digest || "
            "self.candidate.storageUri == self.stable.storageUri",
            "message": "stable and candidate have one digest, and must have one storageUri",
        },
        {
            "rule": 'self.traffic.via != "knative" || self.stickyHeader == ""',
            "message": "Knative looks at no header; leave stickyHeader out",
            "fieldPath": ".stickyHeader",
        },
    ),
}


def same_address() -> Rule:
    """What can be checked at a change alone: a model of one digest does not move.

    CEL has no list of the two revisions, as one of them may be missing; so each is held against each.
    """
    pairs = []
    for now in ("stable", "candidate"):
        for old in ("stable", "candidate"):
            there = [
                f"!has({side}.candidate)"
                for side, name in (("self", now), ("oldSelf", old))
                if name == "candidate"
            ]
            new, before = f"self.{now}", f"oldSelf.{old}"
            alike = [
                *there,
                f"{new}.digest != {before}.digest",
                f"{new}.storageUri == {before}.storageUri",
            ]
            pairs.append(f"({' || '.join(alike)})")
    return {
        "rule": " && ".join(pairs),
        "message": "a revision never changes: another storageUri needs another digest",
    }
