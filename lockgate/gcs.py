"""Google Cloud Storage, request by request. The one module that knows google-cloud-storage.

Credentials are those that surround the process (workload identity in a pod, application default credentials
on a laptop); with `STORAGE_EMULATOR_HOST` set there are none. Every upload states the generation that it
replaces, so it may be repeated after a lost answer: at most one repetition takes effect.
"""

import base64
import contextlib
import functools
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

from lockgate.errors import StorageError
from lockgate.storage import explained, replacing

EMULATOR_VARIABLE = "STORAGE_EMULATOR_HOST"
# A file larger than this goes up in several requests, each of which can be repeated by itself.
CHUNK_BYTES = 8 << 20
TIMEOUTS = (10.0, 60.0)
FIRST_WAIT_SECONDS = 0.5
DEADLINE_SECONDS = 120.0
WRITER = "lockgate-writer"
PARALLEL = 8
SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
BUCKET_NAME = re.compile(r"[a-z0-9][-_.a-z0-9]+[a-z0-9]")
NEW = 0
T = TypeVar("T")
R = TypeVar("R")


class Object(NamedTuple):
    """An object of a bucket.

    `generation` changes with its content; `crc32c` is the checksum of its bytes in base 64; `writer` is what
    the one who wrote it called itself, or "".
    """

    name: str
    size: int
    generation: int
    crc32c: str = ""
    writer: str = ""


def objects(url: str) -> list[Object]:
    """The object at `gs://bucket/path`, or all objects under it, by name.

    Raises:
        StorageError: no such bucket, nothing there, no permission, no answer.
    """
    bucket, path = split(url)
    folder = path.rstrip("/") + "/" if path else ""
    found = [
        o for o in under(bucket, path.rstrip("/")) if o.name == path or not path or o.name.startswith(folder)
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
    bucket, path = split(url)

    def fetched(found: Object) -> Path:
        inside = found.name.removeprefix(path.rstrip("/")).lstrip("/") or Path(found.name).name
        if not get_file(bucket, found.name, folder / inside):
            raise StorageError(
                f"gs://{bucket}/{found.name} was deleted while {url} was read.",
                "A source stays as it is while it is collected.",
                "Run the step again.",
            )
        return folder / inside

    return at_a_time(fetched, objects(url))


def at_a_time(act: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """What `act` gives for each item, some at a time; after an error no further one is begun."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        waiting = [pool.submit(act, item) for item in items]
        try:
            return [one.result() for one in waiting]
        finally:
            pool.shutdown(cancel_futures=True)


def split(url: str) -> tuple[str, str]:
    """The bucket and the path of `gs://bucket/path`.

    Raises:
        StorageError: that is no such address.
    """
    bucket, _, path = url.removeprefix("gs://").partition("/")
    if not url.startswith("gs://") or not BUCKET_NAME.fullmatch(bucket):
        raise StorageError(
            f"{url} is no address in a bucket.",
            "An address is gs://bucket/path; a bucket's name has 3 or more of a-z, 0-9, '-', '_' and '.'.",
            "Check the address.",
        )
    return bucket, path


def under(bucket: str, prefix: str) -> Iterator[Object]:
    """All objects whose name starts with `prefix`, by name; folders' own markers are left out.

    Raises:
        StorageError: no such bucket, no permission, no answer.
    """
    with _explained(f"gs://{bucket}/{prefix}", "storage.objects.list"):
        for blob in client().list_blobs(bucket, prefix=prefix, timeout=TIMEOUTS, retry=_retry()):
            if not blob.name.endswith("/"):
                yield _object(blob)


def look(bucket: str, name: str) -> Object | None:
    """What is known of an object; None where there is none.

    Raises:
        StorageError: no such bucket, no permission, no answer.
    """
    with _explained(f"gs://{bucket}/{name}", "storage.objects.get"):
        blob = client().bucket(bucket).get_blob(name, timeout=TIMEOUTS, retry=_retry())
        if blob is None:
            _require(client(), bucket)
    return _object(blob) if blob is not None else None


def get(bucket: str, name: str) -> tuple[bytes, int] | None:
    """The bytes of an object and their generation; None where there is none.

    Raises:
        StorageError: the bytes do not have the checksum that the bucket names; no permission, no answer.
    """
    data = io.BytesIO()
    blob = _download(bucket, name, data)
    if blob is None:
        return None
    _check(blob, data.getvalue())
    return data.getvalue(), int(blob.generation)


def get_file(bucket: str, name: str, path: Path) -> bool:
    """Fetches an object into a file, whole or not at all; returns whether there is such an object.

    Raises:
        StorageError: as for `get`, or the file cannot be written.
    """
    with contextlib.suppress(_Absent), explained(path), replacing(path) as temporary:
        with temporary.open("wb") as file:
            blob = _download(bucket, name, file)
        if blob is None:
            raise _Absent
        _check(blob, temporary)
        return True
    return False


class _Absent(Exception):
    """There is no such object; a file that was begun for it goes."""


def _download(bucket: str, name: str, file: IO[bytes]) -> Any:
    """Writes an object's bytes to `file`; returns the object, or None where there is none."""
    from google.api_core.exceptions import NotFound

    with _explained(f"gs://{bucket}/{name}", "storage.objects.get"):
        blob = client().bucket(bucket).blob(name)
        try:
            blob.download_to_file(file, checksum="crc32c", timeout=TIMEOUTS, retry=_retry())
        except NotFound:
            _require(client(), bucket)
            return None
        return blob


def _check(blob: Any, content: bytes | Path) -> None:
    """Compares what arrived with the object's checksum; the library does not where a download broke off."""
    if blob.content_encoding == "gzip" or not blob.crc32c or (found := checksum(content)) == blob.crc32c:
        return
    url = f"gs://{blob.bucket.name}/{blob.name}"
    raise StorageError(
        f"{url} arrived with the checksum {found}; the bucket says {blob.crc32c}.",
        "What arrives has to be what was stored.",
        "Run the step again; if it stays so, the object or the way to it is damaged.",
    )


def put(bucket: str, name: str, content: bytes | Path, *, replaces: int, writer: str = "") -> bool:
    """Writes an object whose generation is `replaces` (0: that is not there); whole or not at all.

    Returns:
        Whether it was written; False: there is another generation, and it stays.

    Raises:
        StorageError: no such bucket, no permission, no answer, the file cannot be read.
    """
    from google.api_core.exceptions import PreconditionFailed

    given = {
        "if_generation_match": replaces,
        "content_type": "application/octet-stream",
        "checksum": "crc32c",
        "crc32c_checksum_value": checksum(content),
        "timeout": TIMEOUTS,
        "retry": _retry(),
    }
    with _explained(f"gs://{bucket}/{name}", "storage.objects.create"):
        large = isinstance(content, Path) and content.stat().st_size > CHUNK_BYTES
        blob = client().bucket(bucket).blob(name, chunk_size=CHUNK_BYTES if large else None)
        if writer:
            blob.metadata = {WRITER: writer}
        try:
            if isinstance(content, Path):
                blob.upload_from_filename(str(content), **given)
            else:
                blob.upload_from_string(content, **given)
        except PreconditionFailed:
            return False
    return True


def drop(bucket: str, name: str) -> None:
    """Deletes an object, if it is there; one that others write meanwhile stays.

    Raises:
        StorageError: no such bucket, no permission, no answer.
    """
    from google.api_core.exceptions import NotFound, PreconditionFailed

    if (there := look(bucket, name)) is None:
        return
    with _explained(f"gs://{bucket}/{name}", "storage.objects.delete"):
        blob = client().bucket(bucket).blob(name)
        with contextlib.suppress(NotFound, PreconditionFailed):
            blob.delete(if_generation_match=there.generation, timeout=TIMEOUTS, retry=_retry())


def checksum(content: bytes | Path) -> str:
    """The CRC32C of bytes, or of a file's bytes, in base 64 as Google Cloud Storage writes it."""
    import google_crc32c

    total: Any = google_crc32c.Checksum()  # type: ignore[no-untyped-call,unused-ignore]
    if isinstance(content, Path):
        with content.open("rb") as opened:
            while block := opened.read(1 << 20):
                total.update(block)
    else:
        total.update(content)
    return base64.b64encode(total.digest()).decode()


def client() -> Any:
    """The process's client: one for each emulator, none shared with a process that was forked."""
    return _client(os.environ.get(EMULATOR_VARIABLE, ""), os.getpid())


@functools.cache
def _client(emulator: str, _process: int) -> Any:
    import google.auth
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    # Or the library asks for the bucket's metadata in the background, which needs one more permission.
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    if emulator:
        return storage.Client(project="emulated", credentials=AnonymousCredentials())
    credentials, project = google.auth.default(scopes=[SCOPE])
    return storage.Client(project=project or "none", credentials=credentials)  # objects need no project


@functools.cache
def _require(client: Any, bucket: str) -> None:
    """Tells a bucket that is not there from an object that is not there."""
    list(client.list_blobs(bucket, max_results=1, timeout=TIMEOUTS, retry=_retry()))


def _retry() -> Any:
    from google.cloud.storage.retry import DEFAULT_RETRY

    waits = DEFAULT_RETRY.with_delay(initial=FIRST_WAIT_SECONDS, maximum=20.0, multiplier=2.0)
    return waits.with_timeout(DEADLINE_SECONDS)


def _object(blob: Any) -> Object:
    writer = str((blob.metadata or {}).get(WRITER, ""))
    return Object(blob.name, int(blob.size or 0), int(blob.generation or 0), blob.crc32c or "", writer)


@contextlib.contextmanager
def _explained(url: str, permission: str) -> Iterator[None]:
    from google.api_core.exceptions import Forbidden, GoogleAPIError, NotFound, Unauthorized
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.storage.exceptions import DataCorruption
    from requests import RequestException  # type: ignore[import-untyped,unused-ignore]

    try:
        yield
    except NotFound:
        bucket = split(url)[0]
        raise StorageError(
            f"There is no bucket {bucket}, or no access to it.",
            "A bucket is made before it is used.",
            f"Make it with `gcloud storage buckets create gs://{bucket}`, or check the address {url}.",
        ) from None
    except Forbidden:
        role = (
            "roles/storage.objectViewer"
            if permission.endswith(("get", "list"))
            else "roles/storage.objectUser"
        )
        raise StorageError(
            f"{url} may not be used: the permission {permission} is missing.",
            f"The service account needs the role {role} on the bucket.",
            f"Grant it: `gcloud storage buckets add-iam-policy-binding gs://{split(url)[0]} --role={role}`.",
        ) from None
    except DataCorruption as error:
        raise StorageError(
            f"{url} was damaged on its way: {error}.",
            "What arrives has to be what was sent.",
            "Run the step again.",
        ) from None
    except (GoogleAuthError, Unauthorized) as error:
        raise StorageError(
            f"{url} cannot be reached: {error}.",
            "Google Cloud Storage needs credentials.",
            "Run `gcloud auth application-default login`, or give the pod a service account.",
        ) from None
    except (GoogleAPIError, RequestException, ConnectionError) as error:
        raise StorageError(
            f"{url} cannot be reached: {error}.",
            "Requests that fail are repeated for two minutes.",
            "Check the network and the address, then run the step again.",
        ) from None
