"""A cheap sign of whether a source has changed, read without its rows."""

import hashlib
from pathlib import Path

from lockgate import gcs
from lockgate.data.read import files_of, is_function


def fingerprint(source: str, folder: Path) -> str:
    """A SHA-256 that changes when the source's files change; 64 hexadecimal digits.

    It covers each file's path, size and time of change (a bucket's objects: name, size and generation).
    Of `file.py:function` it covers the file's text alone: data that the function reads may change unseen.

    Args:
        source: as in project.yaml.
        folder: what relative paths are relative to.

    Raises:
        DataError: nothing is there.
        StorageError: a bucket cannot be reached.
    """
    if is_function(source):
        path = folder / source.rpartition(":")[0]
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        return hashlib.sha256(text.encode()).hexdigest()
    if source.startswith("gs://"):
        signs = [f"{found.name}\0{found.size}\0{found.generation}" for found in gcs.objects(source)]
    else:
        files = [(path, path.stat()) for path in files_of(folder / source)]
        signs = [f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}" for path, stat in files]
    return hashlib.sha256("\n".join(signs).encode()).hexdigest()
