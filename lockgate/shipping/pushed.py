"""The pushed models of a workspace: which there are, bringing one here, sending one out.

In a bucket a model's folder grows object by object: first its content, then card.json, and
inferenceservice.yaml last. One without it is not whole; nobody reads it, and the next push of that model
completes it. On disk a model's folder appears at once (see `folder`).
"""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from lockgate.shipping import folder as folders
from lockgate.shipping.folder import CARD, DERIVED, DIGEST, MANIFEST, Example, ServingSpec, check_digest
from lockgate.storage import Conflict, explained
from lockgate.workspace import Workspace

MODELS = "models"


def digests(workspace: Workspace) -> list[str]:
    """The digests of the models that are there and whole.

    Raises:
        StorageError: the bucket cannot be read.
    """
    if workspace.is_remote:
        parts = [name.split("/") for name in workspace.store.names(f"{MODELS}/")]
        return sorted(p[1] for p in parts if len(p) == 3 and p[2] == MANIFEST and DIGEST.fullmatch(p[1]))
    return sorted(p.name for p in workspace.models.glob("*") if p.is_dir() and not p.name.startswith("."))


def bring(workspace: Workspace, digest: str) -> Path | None:
    """The local folder of a pushed model; None where there is none, or one that is not whole.

    Raises:
        StorageError: the bucket cannot be read, or the mirror cannot be written.
        ServingError: what the bucket holds is not what the digest says.
    """
    target = workspace.models / digest
    if not workspace.is_remote:
        return target if target.is_dir() else None
    names = workspace.store.names(f"{MODELS}/{digest}/")
    if f"{MODELS}/{digest}/{MANIFEST}" not in names:
        return None
    if target.exists():  # of a push here that broke off, maybe: its card is not the one that counts
        workspace.store.fetch_all([n for n in names if n.rpartition("/")[2] in DERIVED], workspace.root)
        return target
    with explained(target):
        workspace.models.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=folders.DRAFT, dir=workspace.models))
    try:
        workspace.store.fetch_all(names, draft)
        arrived = draft / MODELS / digest
        check_digest(arrived)
        with explained(target):
            arrived.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def publish(
    workspace: Workspace,
    model: Path,
    serving: ServingSpec,
    example: Example,
    describe: Callable[[str], Mapping[str, bytes]],
) -> tuple[Path, bool]:
    """Makes `models/<digest>` in the workspace, or finds it there; the arguments are as for `folder.publish`.

    Returns:
        The model's local folder, and whether it is new. One that is there and whole is left as it is.

    Raises:
        StorageError: the workspace cannot be written, or the bucket has other bytes under one of the names.
        ServingError: a folder of that name exists, but its content was changed.
    """
    if not workspace.is_remote:
        return folders.publish(workspace.models, model, serving, example, describe)
    there: list[Path | None] = []

    folder, _ = folders.publish(
        workspace.models,
        model,
        serving,
        example,
        describe,
        before=lambda digest: there.append(bring(workspace, digest)),
    )
    return folder, there == [None] and _send(workspace, folder)


def _send(workspace: Workspace, folder: Path) -> bool:
    """Sends a whole folder; returns whether this was what made it whole in the bucket."""
    names = [p.relative_to(workspace.root).as_posix() for p in sorted(folder.rglob("*")) if p.is_file()]
    content = [n for n in names if n.rpartition("/")[2] not in DERIVED]
    workspace.store.send_all(workspace.root, content, is_new=True)
    is_new = False
    for name in (CARD, MANIFEST):
        try:
            is_new = workspace.store.send(folder / name, f"{MODELS}/{folder.name}/{name}", is_new=True)
        except (
            Conflict
        ):  # of another push of this model, at the same time or broken off: the first one counts
            workspace.store.fetch(f"{MODELS}/{folder.name}/{name}", folder / name)
            is_new = False
    return is_new
