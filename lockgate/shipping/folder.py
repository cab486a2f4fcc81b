"""Model folders: immutable, named by the digest of their content, whole or not there at all.

A model folder holds what training wrote (`saved_model/`, `model.json`, `transform.json`, `network.keras`),
`serving.json` (how scores become decisions) and `example.json` (one real row, for a first request).
These are its content. `card.json` and `inferenceservice.yaml` are made from the content and name its
digest, so they are not part of it.
"""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lockgate.errors import ServingError
from lockgate.records import Record
from lockgate.storage import explained
from lockgate.workspace import link_tree

CARD = "card.json"
MANIFEST = "inferenceservice.yaml"
SERVING = "serving.json"
EXAMPLE = "example.json"
DERIVED = frozenset({CARD, MANIFEST})
DRAFT = ".push-"
DIGEST = re.compile(r"[0-9a-f]{64}")


class ServingSpec(Record):
    """How the scores of a model become decisions: binary scores from `threshold` on are positive."""

    threshold: float = 0.5

    @classmethod
    def of(cls, folder: Path) -> "ServingSpec":
        """The model folder's own, or the defaults where it has none."""
        path = folder / SERVING
        return cls.load(path) if path.exists() else cls()


class Example(Record):
    """One real row of the input columns, as JSON values."""

    row: Mapping[str, Any]


def folder_digest(folder: Path) -> str:
    """The digest of a model folder's content, 64 hexadecimal digits.

    It is the SHA-256 of one line per file, `name NUL sha256-of-its-bytes newline`, sorted by name; names
    are relative to the folder, with '/'; `card.json` and `inferenceservice.yaml` are left out.
    """
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    total = hashlib.sha256()
    for name in names:
        if name not in DERIVED:
            with (folder / name).open("rb") as opened:
                total.update(f"{name}\0{hashlib.file_digest(opened, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()


def check_digest(folder: Path) -> None:
    """Refuses a folder that is named by a digest which its content does not have.

    Raises:
        ServingError: no such folder, no SavedModel in it, or its content was changed.
    """
    if not (folder / "saved_model" / "saved_model.pb").is_file():
        raise ServingError(
            f"{folder} is not a model folder: it has no saved_model/saved_model.pb.",
            "A model folder is what `lockgate run` pushes under models/.",
            "Check the path, or run `lockgate run`.",
        )
    if DIGEST.fullmatch(folder.name) and (found := folder_digest(folder)) != folder.name:
        raise ServingError(
            f"The content of {folder} was changed: its digest is {found[:12]}…, "
            f"its name says {folder.name[:12]}….",
            "A model folder is served only as it was pushed.",
            "Remove the folder and push the model again with `lockgate run --from push`.",
        )


def stage(model: Path, serving: ServingSpec, example: Example, target: Path) -> str:
    """Puts the content of a model folder together in the folder `target`; returns its digest.

    Raises:
        StorageError: `target` cannot be written.
    """
    with explained(target):
        link_tree(model, target)
        for name in DERIVED:
            (target / name).unlink(missing_ok=True)
        # Unlink first: a hard link would write through to the artifact that it came from.
        for name in (SERVING, EXAMPLE):
            (target / name).unlink(missing_ok=True)
        serving.save(target / SERVING)
        example.save(target / EXAMPLE)
        return folder_digest(target)


def publish(
    models: Path,
    model: Path,
    serving: ServingSpec,
    example: Example,
    describe: Callable[[str], Mapping[str, bytes]],
    before: Callable[[str], object] = lambda _: None,
) -> tuple[Path, bool]:
    """Makes `models/<digest>`, or finds it there.

    Args:
        models: the folder of all model folders.
        model: what training wrote.
        serving: how scores become decisions.
        example: one real row.
        describe: from the digest, the derived files by name.
        before: is told the digest before `models/<digest>` is looked for, and may bring it there.

    Returns:
        The model's folder, and whether it is new. A folder that exists is left as it is.

    Raises:
        StorageError: `models` cannot be written. Nothing half-written stays behind.
        ServingError: a folder of that name exists, but its content was changed.
    """
    with explained(models):
        models.mkdir(parents=True, exist_ok=True)
        # What a push that was killed left behind; one run at a time holds the workspace.
        for stale in models.glob(f"{DRAFT}*"):
            shutil.rmtree(stale)
        draft = Path(tempfile.mkdtemp(prefix=DRAFT, dir=models))
    try:
        with explained(draft):
            content = draft / "content"
            digest = stage(model, serving, example, content)
            target = models / digest
            before(digest)
            if target.exists():
                check_digest(target)
                return target, False
            for name, text in describe(digest).items():
                (content / name).write_bytes(text)
            _make_own(content)
            content.rename(target)
            _sync(models)
            return target, True
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _make_own(folder: Path) -> None:
    """Makes the files read-only and no longer shared with the artifacts that they were linked from."""
    for path in folder.rglob("*"):
        if path.is_file():
            if path.stat().st_nlink > 1:
                own = path.with_name(f".{path.name}.own")
                shutil.copyfile(path, own)
                own.replace(path)
            path.chmod(0o444)
            _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
