"""Google Cloud Storage: listing and fetching objects. The one module that knows google-cloud-storage."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from lockgate.errors import StorageError
from lockgate.storage import explained, replacing

EMULATOR_VARIABLE = "STORAGE_EMULATOR_HOST"


class Object(NamedTuple):
    """An object of a bucket: its name, its size in bytes, and a number that changes with its content."""

    name: str
    size: int
    generation: int


def objects(url: str) -> list[Object]:
    """The object at `gs://bucket/path`, or all objects under it, by name.

    Raises:
        StorageError: no such bucket, nothing there, no permission, no answer.
    """
    bucket, _, path = url.removeprefix("gs://").partition("/")
    folder = path.rstrip("/") + "/" if path else ""
    with _explained(url):
        found = [
            Object(blob.name, blob.size, blob.generation or 0)
            for blob in _client().list_blobs(bucket, prefix=path.rstrip("/"))
            if (blob.name == path or blob.name.startswith(folder)) and not blob.name.endswith("/")
        ]
    if not found:
        raise StorageError(
            f"There is nothing at {url}.", "A source names an object or a folder.", "Check the address."
        )
    return sorted(found)


def download(url: str, folder: Path) -> list[Path]:
    """Fetches the object at `url`, or all objects under it, into `folder`; returns the files.

    Raises:
        StorageError: as for `objects`; or the folder cannot be written.
    """
    bucket, _, path = url.removeprefix("gs://").partition("/")
    files = []
    for found in objects(url):
        inside = found.name.removeprefix(path.rstrip("/")).lstrip("/") or Path(found.name).name
        target = folder / inside
        with explained(target), replacing(target) as temporary, _explained(url):
            _client().bucket(bucket).blob(found.name).download_to_filename(str(temporary))
        files.append(target)
    return files


def _client() -> Any:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    if os.environ.get(EMULATOR_VARIABLE):
        return storage.Client(project="emulated", credentials=AnonymousCredentials())
    return storage.Client()


@contextmanager
def _explained(url: str) -> Iterator[None]:
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from requests import RequestException  # type: ignore[import-untyped,unused-ignore]

    try:
        yield
    except GoogleAuthError as error:
        raise StorageError(
            f"{url} cannot be reached: {error}.",
            "Google Cloud Storage needs credentials.",
            "Run `gcloud auth application-default login`, or give the pod a service account.",
        ) from None
    except (GoogleAPIError, RequestException) as error:
        raise StorageError(
            f"{url} cannot be reached: {error}.", "", "Check the address and the permissions."
        ) from None
