"""The definition of ModelRollout for Kubernetes, from the models in lockgate/rollout.

`make compile` writes it to manifests/base/crd.yaml.
"""

from collections.abc import Mapping
from typing import Any

import yaml

from lockgate.rollout.resource import GROUP, KIND, PLURAL, VERSION, Spec
from lockgate.rollout.status import Status
from lockgate.shipping.manifest import LONGEST_NAME
from serving.controller.rules import RULES, same_address
from serving.controller.structural import Schema, structural

HEAD = """\
# What a ModelRollout is (docs/rollout.md). Generated from the models in lockgate/rollout by `make compile`.
"""
# A revision adds "-" and eight digits.
LONGEST_MODEL = LONGEST_NAME - 9
# With the definition go all ModelRollouts, and with them the models that serve: by hand, never by a commit.
KEPT = {
    "kustomize.toolkit.fluxcd.io/prune": "disabled",
    "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
}
COLUMNS: tuple[tuple[str, str, str, str], ...] = (
    ("Stable", "string", ".status.stableRevision", "The revision that serves."),
    ("Candidate", "string", ".status.candidateRevision", "The present or last candidate."),
    ("Step", "string", ".status.stepText", "The present step of all."),
    ("Wanted", "integer", ".status.weight", "The candidate's wanted share in percent."),
    ("Observed", "string", ".status.observed", "The candidate's counted share in percent."),
    ("Phase", "string", ".status.phase", "How the rollout stands."),
    ("Age", "date", ".metadata.creationTimestamp", "Since when there is the object."),
)
WIDE: tuple[tuple[str, str, str, str], ...] = (
    ("Reason", "string", ".status.reason", "Why, in a word."),
    ("Message", "string", ".status.message", "Why, in a sentence."),
)


def definition() -> Mapping[str, Any]:
    """The CustomResourceDefinition."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{PLURAL}.{GROUP}",
            "labels": {"app.kubernetes.io/component": "controller"},
            "annotations": KEPT,
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["mr"],
                "categories": ["lockgate"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": [
                        *(_column(*column) for column in COLUMNS),
                        *({**_column(*column), "priority": 1} for column in WIDE),
                    ],
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.stable.replicas",
                            "statusReplicasPath": ".status.replicas",
                            "labelSelectorPath": ".status.selector",
                        },
                    },
                    "schema": {"openAPIV3Schema": _schema()},
                }
            ],
        },
    }


def text() -> str:
    """The definition as YAML, as manifests/base/crd.yaml has it."""
    return HEAD + yaml.dump(definition(), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=110)


class _Plain(yaml.SafeDumper):
    """Writes everything where it stands, without YAML's anchors."""

    def ignore_aliases(self, _: Any) -> bool:
        return True


def _column(name: str, kind: str, path: str, meaning: str) -> dict[str, Any]:
    return {"name": name, "type": kind, "jsonPath": path, "description": meaning}


def _schema() -> Schema:
    spec = structural(Spec, RULES)
    spec["x-kubernetes-validations"].append(same_address())
    return {
        "type": "object",
        "description": "One model's stable revision, the candidate that is to replace it, and how that goes.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": structural(Status, RULES),
        },
        "x-kubernetes-validations": [
            {
                "rule": f"size(self.metadata.name) <= {LONGEST_MODEL} && "
                'self.metadata.name.matches("^[a-z]([-a-z0-9]*[a-z0-9])?$")',
                "message": f"the name is the model's: {LONGEST_MODEL} lower-case letters, digits and '-' at "
                "most, a letter first",
            }
        ],
    }


if __name__ == "__main__":
    print(text(), end="")
