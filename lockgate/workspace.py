"""The folder that outlives a run: data partitions, kept results, checkpoints, pushed models, runs."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from lockgate.errors import Busy
from lockgate.storage import explained, write_atomically


class Workspace:
    """The layout of a workspace; nothing is made before it is needed.

    Args:
        root: the folder, by default `.lockgate` beside project.yaml.
    """

    KEPT_RESULTS = 3

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).absolute()

    @property
    def data(self) -> Path:
        """Parquet partitions, immutable, named by their content."""
        return self.root / "data"

    @property
    def statistics(self) -> Path:
        """What the data gate learnt of every snapshot that passed it, by the snapshot's content."""
        return self.root / "statistics"

    @property
    def models(self) -> Path:
        """Pushed models, immutable, one folder each, named by their digest."""
        return self.root / "models"

    def checkpoints(self, key: str) -> Path:
        """Where a training that is identified by `key` keeps its checkpoints."""
        return self.root / "checkpoints" / key

    def runs(self) -> list[Path]:
        """The folders of all runs, oldest first."""
        return sorted(p for p in (self.root / "runs").glob("*") if p.is_dir() and not p.is_symlink())

    def new_run(self, now: datetime | None = None) -> Path:
        """Makes the folder of a new run, named by the time (UTC).

        Raises:
            StorageError: the workspace cannot be written.
        """
        stamp = (now or datetime.now(UTC)).strftime("%Y%m%d-%H%M%S")
        taken = {run.name for run in self.runs()}
        name = next(n for i in range(1000) if (n := stamp if i == 0 else f"{stamp}-{i}") not in taken)
        folder = self.root / "runs" / name
        with explained(folder):
            folder.mkdir(parents=True)
        return folder

    def champion(self) -> str | None:
        """The digest of the model that was pushed last, or None before the first."""
        pointer = self.root / "champion.json"
        return str(json.loads(pointer.read_text())["digest"]) if pointer.exists() else None

    def crown(self, digest: str) -> None:
        """Makes a pushed model the champion."""
        write_atomically(self.root / "champion.json", json.dumps({"digest": digest}).encode())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the workspace for one run at a time; the operating system frees it when the process ends.

        Raises:
            Busy: another run holds it.
            StorageError: the workspace cannot be written.
        """
        holder = self.root / "run.pid"
        with explained(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.root / "run.lock", blocking=False)
            try:
                lock.acquire()
            except Timeout:
                who = holder.read_text().strip() if holder.exists() else "unknown"
                raise Busy(
                    f"Another run (process {who}) is using {self.root}.",
                    "One run at a time may use a workspace.",
                    "Wait for it to end, or choose another workspace with --workspace.",
                ) from None
        try:
            write_atomically(holder, str(os.getpid()).encode())
            yield
        finally:
            holder.unlink(missing_ok=True)
            lock.release()

    def kept(self, step: str, key: str) -> Path:
        """Where the results of a step with this key are kept."""
        return self.root / "results" / step / key

    def keep(self, step: str, key: str, outputs: dict[str, Path]) -> None:
        """Keeps a step's outputs for later runs (hard links, so it costs no space); drops the oldest ones."""
        target = self.kept(step, key)
        draft = target.with_suffix(".part")
        with explained(target):
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            for name, path in outputs.items():
                link_tree(path, draft / name)
            shutil.rmtree(target, ignore_errors=True)
            draft.rename(target)
        others = sorted(target.parent.iterdir(), key=lambda p: p.stat().st_mtime)
        for old in others[: -self.KEPT_RESULTS]:
            shutil.rmtree(old)


def link_tree(source: Path, target: Path) -> None:
    """Copies a file or a folder by hard links where the file system allows, by bytes where not."""
    if source.is_dir():
        shutil.copytree(source, target, copy_function=_link, dirs_exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        _link(str(source), str(target))


def _link(source: str, target: str) -> None:
    Path(target).unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
