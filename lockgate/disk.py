"""The store on a disk: what `Store` promises, by renames, hard links and a lock file."""

import filecmp
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from filelock import FileLock

from lockgate.storage import Conflict, draft, explained, replacing, settle, write_atomically


class FolderStore:
    """All files under a folder.

    Args:
        root: that folder; made when something is written.
    """

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
        return self._place(name, lambda path: path.write_bytes(data), is_new)

    def names(self, prefix: str = "") -> list[str]:
        """As the port says."""
        start = self.root / prefix.rpartition("/")[0]
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
        return self._place(name, lambda target: shutil.copyfile(path, target), is_new)

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

    def _place(self, name: str, fill: Callable[[Path], object], is_new: bool) -> bool:
        target = self.root / name
        with explained(target), draft(target) as temporary:
            fill(temporary)
            settle(temporary)
            if not is_new:
                temporary.replace(target)
                return True
            try:
                os.link(temporary, target)
            except OSError:  # there already; or a disk without links, where looking before has to do
                if not target.exists():
                    temporary.replace(target)
                elif not filecmp.cmp(temporary, target, shallow=False):
                    raise Conflict(
                        f"{target} is there already, with other content.",
                        "A file that is named by its content is written once.",
                        "Delete that file if it is damaged, and run the step again.",
                    ) from None
                else:
                    return False
        return True


def _is_draft(name: str) -> bool:
    last = name.rpartition("/")[2]
    return last.startswith(".") and last.endswith((".part", ".lock"))
