"""Which model a folder holds: its digest, and a refusal where that is not the promised one."""

from pathlib import Path

from lockgate.errors import ServingError
from lockgate.shipping.folder import DIGEST, check_digest, folder_digest


def identify(folder: Path, promised: str | None) -> str:
    """The digest of a model folder's content.

    Args:
        folder: the folder; where its name is a digest, that is promised, too.
        promised: the digest that the content must have; a pod mounts every model under one path, so there
            the folder's name says nothing.

    Raises:
        ServingError: no model is there, or its content is not what was promised.
    """
    if promised == "":  # what Kubernetes makes of an annotation that is not there
        raise ServingError(
            "No digest is promised: LOCKGATE_DIGEST or --digest is empty, so in a pod the annotation "
            "lockgate.dev/digest is missing.",
            "A pod serves only the model that its annotation names.",
            "Set the InferenceService's annotation lockgate.dev/digest; elsewhere, unset LOCKGATE_DIGEST.",
        )
    if promised is not None and not DIGEST.fullmatch(promised):
        raise ServingError(
            f"{promised[:80]!r} is no digest.",
            "A model's digest has 64 hexadecimal digits.",
            "Give --digest or LOCKGATE_DIGEST the name of the model's folder, or the `content` of its card.",
        )
    check_digest(folder)
    found = folder_digest(folder)
    if promised is not None and found != promised:
        raise ServingError(
            f"{folder} holds another model than was promised: the digest of its content is {found}, "
            f"promised is {promised}.",
            "A model is served only as it was pushed, bit by bit.",
            "Compare the storage address with the promised digest; where they agree, the stored folder was "
            "changed or is not whole: remove it, and push the model again.",
        )
    return found
