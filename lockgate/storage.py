"""Where bytes live: the port `Store`, in a folder (`disk`) or a bucket (`bucket`); files written whole."""

import errno
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

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
        lost; `Conflict` when that happens too often. If the answer to a write is lost and others write before
        it is repeated, `change` may find its own work in what it is given: let it be idempotent.
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
    from lockgate.disk import FolderStore

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
    with draft(path) as temporary:
        yield temporary
        settle(temporary)
        temporary.replace(path)


@contextmanager
def draft(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`, which is gone afterwards."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def settle(written: Path) -> None:
    """Has a file on the disk, for all to read, before it gets its name."""
    with written.open("rb+") as opened:
        os.fsync(opened.fileno())
    written.chmod(0o644)
