"""What outlives a run, in a folder or a bucket: partitions, results, checkpoints, pushed models, runs."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from lockgate.errors import Busy, StorageError
from lockgate.storage import BUCKET_SCHEME, Conflict, explained, store_at, write_atomically

CHAMPION = "champion.json"


class Workspace:
    """The layout of a workspace; nothing is made in it before it is needed.

    In a bucket, `root` is a local mirror: `fetch` brings there what is to be read, `publish` sends what was
    written there. What goes through the mirror never changes under its name; the few objects that do
    (champion.json, statistics/passed.json) are read and replaced by `store`.

    Args:
        address: the folder, by default `.lockgate` beside project.yaml; or `gs://bucket/path`.
    """

    KEPT_RESULTS = 3

    def __init__(self, address: str | Path) -> None:
        self.store = store_at(address)
        self.address = self.store.address
        self.is_remote = self.address.startswith(BUCKET_SCHEME)
        self.root = _mirror(self.address) if self.is_remote else Path(self.address)

    def fetch(self, name: str) -> Path:
        """Brings an object that is not in `root` yet there; returns its local path.

        An object that is nowhere leaves no file. On a folder this does nothing.

        Raises:
            StorageError: the bucket cannot be read, or the mirror cannot be written.
        """
        self.fetch_all([name])
        return self.root / name

    def fetch_all(self, names: Iterable[str]) -> None:
        """Brings several objects, some at a time; otherwise as `fetch`.

        Raises:
            StorageError: the bucket cannot be read, or the mirror cannot be written.
        """
        if self.is_remote:
            self.store.fetch_all([n for n in names if not (self.root / n).exists()], self.root)

    def fetch_folder(self, name: str) -> Path:
        """Brings all objects under `name/` into `root`; returns the local folder.

        Raises:
            StorageError: the bucket cannot be read, or the mirror cannot be written.
        """
        if self.is_remote:
            self.fetch_all(self.store.names(f"{name}/"))
        return self.root / name

    def publish(self, *names: str) -> None:
        """Sends files of `root` into the bucket; of a folder, all files in it. On a folder this does nothing.

        An object that is there already is left as it is: its name stands for what it says, and who came
        first has said it.

        Raises:
            StorageError: the bucket cannot be written.
        """
        if not self.is_remote:
            return
        files = [p for n in names for p in _files(self.root / n)]
        wanted = [p.relative_to(self.root).as_posix() for p in files]
        folders = {w[: w.rfind("/") + 1] for w in wanted}
        for attempt in range(3):
            there = {n for folder in folders for n in self.store.names(folder)}
            try:
                self.store.send_all(self.root, [w for w in wanted if w not in there], is_new=True)
            except (
                Conflict
            ):  # another run has sent one of them since, written by another version of a library
                if attempt == 2:
                    raise
            else:
                return

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
        return _digest(self.store.read(CHAMPION))

    def crown(self, digest: str) -> str | None:
        """Makes a pushed model the champion; returns the digest of the one that it replaced.

        Of two pushes at the same time the later one wins, and what it returns is the earlier one: it is in
        the record (`replaced`), too, so no champion goes unseen. Crowning the champion changes nothing.
        """
        replaced: list[str | None] = []

        def change(before: bytes | None) -> bytes:
            replaced[:] = [_digest(before)]
            if before is not None and replaced[0] == digest:
                return before
            return json.dumps({"digest": digest, "replaced": replaced[0]}).encode()

        self.store.replace(CHAMPION, change)
        return replaced[0]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the workspace for one run at a time; the operating system frees it when the process ends.

        A workspace in a bucket is held on this machine only: that keeps two runs from sharing one mirror.
        The pods of a run, and several runs, use the bucket at the same time without a lock, because what
        they write there is either named by its content, written once, and the same whoever writes it
        (partitions, summaries, models), or small and replaced under a precondition (champion.json,
        statistics/passed.json).

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
                    f"Another run (process {who}) is using {self.address}.",
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


def _mirror(address: str) -> Path:
    """The folder that mirrors a bucket: the same for all processes of this user, and nobody else's."""
    where = f"{os.environ.get('STORAGE_EMULATOR_HOST', '')} {address}"
    name = hashlib.sha256(where.encode()).hexdigest()[:16]
    base = Path(tempfile.gettempdir()) / f"lockgate-{os.getuid()}"
    with explained(base):
        base.mkdir(mode=0o700, exist_ok=True)
        if base.is_symlink() or base.stat().st_uid != os.getuid():
            raise StorageError(
                f"{base} belongs to somebody else.",
                "The mirror of a bucket lies in a folder of one's own.",
                "Set TMPDIR to a folder of yours.",
            )
    return base / name


def _digest(pointer: bytes | None) -> str | None:
    return None if pointer is None else str(json.loads(pointer)["digest"])


def _files(path: Path) -> list[Path]:
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


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
