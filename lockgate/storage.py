"""Where bytes live: the port `Store`, its folder, and writing files whole. Its bucket is in `bucket`."""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from filelock import FileLock

from lockgate.errors import StorageError

BUCKET_SCHEME = "gs://"


class Conflict(StorageError):
    """Another writer was there first."""


class Store(Protocol):
    """Objects by name ('/' between its parts), each whole or not there; any method raises StorageError."""

    address: str

    def read(self, name: str) -> bytes | None:
        """The bytes of an object; None where there is none."""

    def write(self, name: str, data: bytes, *, is_new: bool = False) -> bool:
        """Writes an object; the last writer wins. Returns whether it was written.

        With `is_new` the name stands for the content: an object that is there with the same bytes is left
        as it is (False), one with other bytes raises `Conflict`.
        """

    def names(self, prefix: str = "") -> list[str]:
        """The names that start with `prefix`, sorted."""

    def fetch(self, name: str, path: Path) -> bool:
        """Brings an object into a file, whole or not at all; returns whether there is such an object."""

    def send(self, path: Path, name: str, *, is_new: bool = False) -> bool:
        """Writes an object from a file; otherwise as `write`."""

    def delete(self, name: str) -> None:
        """Deletes an object; that there is none is success."""

    def replace(self, name: str, change: Callable[[bytes | None], bytes]) -> bytes:
        """Writes what `change` makes of the present bytes (None: no object), and returns it.

        Where others write at the same time, `change` is called again with what they wrote, so no change is
        lost. `Conflict` when that happens too often.
        """

    def fetch_all(self, names: Iterable[str], folder: Path) -> None:
        """Fetches several objects at a time, each into `folder/name`."""

    def send_all(self, folder: Path, names: Iterable[str], *, is_new: bool = False) -> None:
        """Sends several files at a time, each from `folder/name`."""


def store_at(address: str | Path) -> Store:
    """The store at a folder or at `gs://bucket/path`.

    Raises:
        StorageError: an address that is neither.
    """
    if str(address).startswith(BUCKET_SCHEME):
        from lockgate.bucket import BucketStore

        return BucketStore(str(address))
    return FolderStore(Path(address))


def address_of(path: Path) -> str:
    """What a local path of a pipeline's artifact is called from other machines.

    Kubeflow Pipelines shows a step the bucket's `gs://bucket/path` as `/gcs/bucket/path`. A path on a laptop
    is its own address.

    Raises:
        StorageError: the artifact lies in a store that Lockgate does not read.
    """
    text = str(path)
    if text.startswith("/gcs/"):
        return BUCKET_SCHEME + text.removeprefix("/gcs/")
    for scheme in ("minio", "s3", "oci"):
        if text.startswith(f"/{scheme}/"):
            raise StorageError(
                f"The artifact {scheme}://{text.removeprefix(f'/{scheme}/')} is not in Google Cloud Storage.",
                "Training pods read artifacts from gs://.",
                "Set the pipeline root of Kubeflow Pipelines to a gs:// address.",
            )
    return str(path.absolute())


class FolderStore:
    """All files under a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.address = str(self.root)

    def read(self, name: str) -> bytes | None:
        """As the port says."""
        path = self.root / name
        with explained(path):
            return path.read_bytes() if path.is_file() else None

    def write(self, name: str, data: bytes, *, is_new: bool = False) -> bool:
        """As the port says."""
        if is_new and (there := self.read(name)) is not None:
            return self._same(name, there == data)
        write_atomically(self.root / name, data)
        return True

    def names(self, prefix: str = "") -> list[str]:
        """As the port says."""
        start = (self.root / prefix).parent if not prefix.endswith("/") else self.root / prefix
        found = (p.relative_to(self.root).as_posix() for p in start.rglob("*") if p.is_file())
        return sorted(n for n in found if n.startswith(prefix) and not _is_draft(n))

    def fetch(self, name: str, path: Path) -> bool:
        """As the port says."""
        source = self.root / name
        if not source.is_file():
            return False
        with explained(path), replacing(path) as temporary:
            shutil.copyfile(source, temporary)
        return True

    def send(self, path: Path, name: str, *, is_new: bool = False) -> bool:
        """As the port says."""
        target = self.root / name
        if is_new and target.exists():
            import filecmp

            return self._same(name, filecmp.cmp(path, target, shallow=False))
        with explained(target), replacing(target) as temporary:
            shutil.copyfile(path, temporary)
        return True

    def delete(self, name: str) -> None:
        """As the port says."""
        with explained(self.root / name):
            (self.root / name).unlink(missing_ok=True)

    def replace(self, name: str, change: Callable[[bytes | None], bytes]) -> bytes:
        """As the port says."""
        path = self.root / name
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_name(f".{path.name}.lock")):
                before = self.read(name)
                if (after := change(before)) != before:
                    write_atomically(path, after)
        return after

    def fetch_all(self, names: Iterable[str], folder: Path) -> None:
        """As the port says."""
        for name in names:
            self.fetch(name, folder / name)

    def send_all(self, folder: Path, names: Iterable[str], *, is_new: bool = False) -> None:
        """As the port says."""
        for name in names:
            self.send(folder / name, name, is_new=is_new)

    def _same(self, name: str, is_same: bool) -> bool:
        if not is_same:
            raise Conflict(
                f"{self.root / name} is there already, with other content.",
                "A file that is named by its content is written once.",
                "Delete that file if it is damaged, and run the step again.",
            )
        return False


def _is_draft(name: str) -> bool:
    last = name.rpartition("/")[2]
    return last.startswith(".") and last.endswith((".part", ".lock"))


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns the operating system's refusals about `path` into sentences that say what to do.

    Raises:
        StorageError: no space, no permission, or a file where a folder should be.
    """
    try:
        yield
    except OSError as error:
        named = Path(error.filename) if isinstance(error.filename, str) else path
        raise StorageError(*_explanation(named, error)) from error


def _explanation(path: Path, error: OSError) -> tuple[str, str, str]:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return (
                f"The disk is full: {path} could not be written.",
                "Nothing half-written was left behind.",
                "Free some space, then run `lockgate run --resume`.",
            )
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return (
                f"{path} cannot be written: {error.strerror}.",
                "Lockgate needs a folder that it may write to.",
                "Change the folder's permissions, or choose another one with --workspace.",
            )
        case errno.ENOENT:
            return (f"{path} does not exist.", "", "Check the path.")
        case _:
            return (f"{path}: {error.strerror or error}.", "", "")


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all: into a temporary file beside it, then renamed.

    Raises:
        StorageError: the folder cannot be written, or the disk is full.
    """
    with explained(path), replacing(path) as temporary:
        temporary.write_bytes(data)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; renames it to `path` on success, removes it on failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
