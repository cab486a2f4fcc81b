"""The store on a bucket: what `Store` promises, by the generations of Google Cloud Storage."""

import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from lockgate import gcs
from lockgate.storage import Conflict, explained

ATTEMPTS = 12


class BucketStore:
    """All objects under `gs://bucket/path`.

    Args:
        address: that address.
    """

    def __init__(self, address: str) -> None:
        self._bucket, path = gcs.split(address)
        self._folder = f"{path.rstrip('/')}/" if path else ""
        self.address = f"gs://{self._bucket}/{path}".rstrip("/")

    def read(self, name: str) -> bytes | None:
        """As the port says."""
        found = gcs.get(self._bucket, self._folder + name)
        return found[0] if found else None

    def write(self, name: str, data: bytes, *, is_new: bool = False) -> bool:
        """As the port says."""
        if is_new:
            return self._add(name, data)
        self._put_over(name, data)
        return True

    def names(self, prefix: str = "") -> list[str]:
        """As the port says."""
        found = gcs.under(self._bucket, self._folder + prefix)
        return [o.name.removeprefix(self._folder) for o in found]

    def fetch(self, name: str, path: Path) -> bool:
        """As the port says."""
        return gcs.get_file(self._bucket, self._folder + name, path)

    def send(self, path: Path, name: str, *, is_new: bool = False) -> bool:
        """As the port says."""
        with explained(path):
            if is_new:
                return self._add(name, path)
            self._put_over(name, path)
            return True

    def delete(self, name: str) -> None:
        """As the port says."""
        gcs.drop(self._bucket, self._folder + name)

    def replace(self, name: str, change: Callable[[bytes | None], bytes]) -> bytes:
        """As the port says."""
        for wait in _waits():
            found = gcs.get(self._bucket, self._folder + name)
            before, generation = found or (None, gcs.NEW)
            after = change(before)
            if after == before or self._put(name, after, generation)[0]:
                return after
            time.sleep(wait)
        raise self._contended(name)

    def fetch_all(self, names: Iterable[str], folder: Path) -> None:
        """As the port says."""
        gcs.at_a_time(lambda name: self.fetch(name, folder / name), names)

    def send_all(self, folder: Path, names: Iterable[str], *, is_new: bool = False) -> None:
        """As the port says."""
        gcs.at_a_time(lambda name: self.send(folder / name, name, is_new=is_new), names)

    def _add(self, name: str, content: bytes | Path) -> bool:
        is_ours, there = self._put(name, content, gcs.NEW)
        if not is_ours and (there is None or there.crc32c != gcs.checksum(content)):
            raise Conflict(
                f"{self.address}/{name} is there already, with other content.",
                "An object that is named by its content is written once.",
                "Delete that object if it is damaged, and run the step again.",
            )
        return is_ours

    def _put(self, name: str, content: bytes | Path, generation: int) -> tuple[bool, gcs.Object | None]:
        """Writes in place of a generation; returns whether that took effect, and if not, what is there.

        A repetition of a write that took effect, but whose answer was lost, is refused like that of another
        writer; the mark tells them apart.
        """
        writer = uuid.uuid4().hex
        full = self._folder + name
        if gcs.put(self._bucket, full, content, replaces=generation, writer=writer):
            return True, None
        there = gcs.look(self._bucket, full)
        return there is not None and there.writer == writer, there

    def _put_over(self, name: str, content: bytes | Path) -> None:
        for wait in _waits():
            there = gcs.look(self._bucket, self._folder + name)
            if self._put(name, content, there.generation if there else gcs.NEW)[0]:
                return
            time.sleep(wait)
        raise self._contended(name)

    def _contended(self, name: str) -> Conflict:
        return Conflict(
            f"{self.address}/{name} was changed by others {ATTEMPTS} times while it was to be replaced.",
            "A change is based on what was read.",
            "Run the step again when fewer runs use this workspace.",
        )


def _waits() -> Iterator[float]:
    """Seconds to wait after each lost attempt: random, so that two writers do not meet again."""
    for attempt in range(ATTEMPTS):
        yield random.uniform(0, min(0.05 * 2**attempt, 2.0))  # noqa: S311 - not for secrets
