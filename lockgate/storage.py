"""Where bytes live: a folder. Buckets are in `gcs`, the one module that knows google-cloud-storage."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lockgate.errors import StorageError


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
