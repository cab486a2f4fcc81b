"""A model's folder in a Git repository with a ModelRollout in it: what a push changes."""

from collections.abc import Mapping

import yaml
from pydantic import ValidationError

from lockgate.errors import DeliveryError
from lockgate.rollout.resource import KIND, Spec
from lockgate.shipping.gitops import KUSTOMIZATION, ROUTE, kustomization, pushed_message
from lockgate.shipping.manifest import Object, render
from lockgate.shipping.revision import Revision
from lockgate.shipping.rollout import FILE, model_rollout, pushed_onto

HEADER = (
    "# Written by Lockgate: the push step sets the candidate, the rollout controller the stable revision.\n"
    "# Change project.yaml, or patch it in an overlay; what else is written here goes with the next commit.\n"
)


def changes(revision: Revision, existing: Mapping[str, bytes]) -> dict[str, bytes | None]:
    """The files of the model's folder that a push writes.

    The first push makes its revision the stable one, a later one the candidate. Pushing the stable revision
    changes nothing.

    Args:
        revision: the pushed one.
        existing: the folder's files now, by name.

    Raises:
        DeliveryError: the folder's ModelRollout cannot be read, or the folder holds a direct push.
    """
    if FILE in existing:
        spec = pushed_onto(spec_in(existing[FILE], revision.model), revision.spec, revision.card.difference)
    else:
        _check_no_direct_push(revision.model, existing)
        spec = revision.spec
    written = {
        FILE: file_of(model_rollout(revision.model, revision.namespace, spec)),
        KUSTOMIZATION: kustomization([FILE]),
    }
    if FILE in existing and spec_in(existing[FILE], revision.model) == spec:
        del written[FILE]
    return {name: text for name, text in written.items() if existing.get(name) != text}


def message(revision: Revision, existing: Mapping[str, bytes]) -> str:
    """The message of the commit: what happens now, why it may, and from what it came."""
    pods = f"{revision.replicas} pods"
    if FILE in existing:
        said = (
            f"Revision {revision.name}, {pods}, is the candidate for {revision.host}: its traffic rises as "
            "far as the evidence carries it."
        )
    else:
        said = f"Revision {revision.name}, {pods}, is the first to serve {revision.host}."
    return pushed_message(revision, said)


def file_of(manifest: Object) -> bytes:
    """A ModelRollout as the text of its file."""
    return HEADER.encode() + render(manifest)


def spec_in(text: bytes, model: str) -> Spec:
    """The spec in a ModelRollout's file.

    Raises:
        DeliveryError: the text is no ModelRollout of this model.
    """
    return Spec.model_validate(manifest_in(text, model)["spec"])


def manifest_in(text: bytes, model: str) -> Object:
    """The ModelRollout in a file, its spec checked.

    Raises:
        DeliveryError: the text is no ModelRollout of this model.
    """
    try:
        found = yaml.safe_load(text)
        if found["kind"] != KIND or found["metadata"]["name"] != model:
            raise ValueError(f"it is {found['kind']} {found['metadata']['name']}")
        Spec.model_validate(found["spec"])
    except (yaml.YAMLError, ValidationError, ValueError, LookupError, TypeError) as error:
        raise DeliveryError(
            f"{FILE} of {model} in the repository cannot be read: {error}.",
            f"It must be the {KIND} {model}, which says what serves now.",
            "Repair the file, or revert the commit that changed it.",
        ) from None
    manifest: Object = found
    return manifest


def _check_no_direct_push(model: str, existing: Mapping[str, bytes]) -> None:
    if ROUTE in existing:
        raise DeliveryError(
            f"The folder of {model} in the repository holds {ROUTE}, by a push with strategy: replace.",
            "A ModelRollout owns the model's route; were the file just removed, Flux or Argo CD would delete "
            "the route that serves.",
            "Take the folder over as docs/gitops.md says, or set push.strategy to replace.",
        )
