"""Checkpoints in a bucket: a checkpoint's files are sent first and the pointer to them last."""

import shutil
import uuid
from pathlib import Path

from lockgate.errors import StorageError
from lockgate.records import Record
from lockgate.storage import BUCKET_SCHEME, Store, store_at, write_atomically

POINTER = "checkpoint.json"
BEST = "best.npz"
ATTEMPTS = 5


class Pointer(Record):
    """The newest checkpoint that is whole: its step, its objects by name, the best weights' object."""

    step: int
    files: tuple[str, ...]
    best: str | None = None


class Superseded(StorageError):
    """Another process has written a checkpoint since this one took its own up: this one is left over."""


class Archive:
    """One training's checkpoints in a store.

    Every checkpoint has a folder of its own that no other process writes to, so one that is half sent, by a
    process that was killed or by one that lives on unnoticed, is never pointed to. The pointer is replaced
    only by the process that has read it, or written it last.

    Args:
        store: at the training's address.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: bytes | None = None

    def restore(self, folder: Path) -> None:
        """Brings the newest whole checkpoint and the best weights into a folder, as `Keeper` reads them.

        Raises:
            StorageError: a file is gone that the pointer names.
        """
        self._seen = self._store.read(POINTER)
        for _ in range(ATTEMPTS):
            if self._seen is None:
                return
            gone = self._fetch(Pointer.model_validate_json(self._seen), folder)
            if gone is None:
                return
            # The chief may have gone on meanwhile, and have deleted what this process was fetching.
            before, self._seen = self._seen, self._store.read(POINTER)
            if self._seen == before:
                break
        raise StorageError(
            f"{self._store.address}/{gone} is gone, though {POINTER} names it.",
            "A checkpoint is deleted only after a newer one is pointed to.",
            f"Delete {self._store.address}/{POINTER} to train from the start.",
        )

    def _fetch(self, pointer: Pointer, folder: Path) -> str | None:
        """Brings what a pointer names into a folder; returns the first name that is not there."""
        places = {name: folder / name.rpartition("/")[2] for name in pointer.files}
        if pointer.best is not None:
            places[pointer.best] = folder / BEST
        for name, path in places.items():
            if not self._store.fetch(name, path):
                return name
        newest = f'model_checkpoint_path: "ckpt-{pointer.step}"\n'
        write_atomically(folder / "checkpoint", f"{newest}all_{newest.replace('path:', 'paths:')}".encode())
        return None

    def keep(self, folder: Path, step: int, *, has_new_best: bool) -> None:
        """Sends the checkpoint of a step from a folder; older ones are deleted once it is pointed to.

        Raises:
            Superseded: another process has written a checkpoint meanwhile.
        """
        before = Pointer.model_validate_json(self._seen) if self._seen is not None else None
        place = f"steps/{step}-{uuid.uuid4().hex[:8]}"
        files = [*folder.glob(f"ckpt-{step}.*"), folder / f"state-{step}.json"]
        files += folder.glob(f"average-{step}.npz")
        names = []
        for file in sorted(files):
            names.append(f"{place}/{file.name}")
            self._store.send(file, names[-1])
        best = before.best if before is not None else None
        if has_new_best:
            best = f"{place}/{BEST}"
            self._store.send(folder / BEST, best)
        self._point(Pointer(step=step, files=tuple(names), best=best))
        for name in self._store.names("steps/"):
            if name not in names and name != best:
                self._store.delete(name)

    def fetch_best(self, path: Path) -> bool:
        """Brings the best epoch's weights into a file; whether there are any."""
        found = self._store.read(POINTER)
        best = Pointer.model_validate_json(found).best if found is not None else None
        return best is not None and self._store.fetch(best, path)

    def _point(self, pointer: Pointer) -> None:
        text = pointer.model_dump_json().encode()

        def change(present: bytes | None) -> bytes:
            if present != self._seen:
                raise Superseded(
                    f"Another process has written a checkpoint to {self._store.address}.",
                    "One process at a time trains there.",
                    "Wait for the other run to end.",
                )
            return text

        self._store.replace(POINTER, change)
        self._seen = text


def is_remote(address: str) -> bool:
    """Whether a folder of a training lies in a bucket."""
    return address.startswith(BUCKET_SCHEME)


def local_folder(address: str, folder: Path) -> Path:
    """The folder at an address: itself, or for one in a bucket `folder`, filled with its objects.

    Raises:
        StorageError: there is nothing, or it cannot be read.
    """
    if not is_remote(address):
        return Path(address)
    store = store_at(address)
    names = store.names()
    if not names:
        raise StorageError(f"There is nothing at {address}.", "", "Run the transform step again.")
    store.fetch_all(names, folder)
    return folder


def forget(address: str) -> None:
    """Deletes all that a training has kept."""
    if not is_remote(address):
        shutil.rmtree(address, ignore_errors=True)
        return
    store = store_at(address)
    for name in store.names():
        store.delete(name)
