"""Checkpoints behind a pointer, as in a bucket: a folder's store keeps the same promises."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lockgate.disk import FolderStore
from lockgate.errors import StorageError
from lockgate.training.archive import POINTER, Archive, Pointer, Superseded, forget
from lockgate.training.loop import Stopped, Watch
from lockgate.training.reports import PROGRESS, Reports
from lockgate.training.state import LoopState
from tests.unit.test_training import loop_of, project_of


def write(folder: Path, step: int, text: str = "") -> None:
    folder.mkdir(exist_ok=True)
    for name in (f"ckpt-{step}.index", f"ckpt-{step}.data-00000-of-00001", f"state-{step}.json"):
        (folder / name).write_text(f"{name} {text}")


def restored(store: FolderStore, folder: Path) -> set[str]:
    folder.mkdir()
    Archive(store).restore(folder)
    return {p.name for p in folder.iterdir()}


class Dying(FolderStore):
    """A store whose process is killed while it sends a file."""

    left = 0

    def send(self, path: Path, name: str, *, is_new: bool = False) -> bool:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().send(path, name, is_new=is_new)


@pytest.mark.parametrize("sent", [0, 1, 2, 3])
def test_a_half_sent_checkpoint_is_never_restored_and_is_cleared_away(tmp_path: Path, sent: int) -> None:
    store, local = Dying(tmp_path / "store"), tmp_path / "local"
    store.left = 3
    write(local, 8)
    Archive(store).keep(local, 8, has_new_best=False)
    write(local, 16)
    (local / "best.npz").write_text("best")
    again = Archive(store)
    again.restore(local)
    store.left = sent
    with pytest.raises(KeyboardInterrupt):
        again.keep(local, 16, has_new_best=True)
    files = {"checkpoint", "ckpt-8.index", "ckpt-8.data-00000-of-00001", "state-8.json"}
    assert restored(store, tmp_path / "fresh") == files
    store.left = 4
    third = Archive(store)
    third.restore(local)
    third.keep(local, 16, has_new_best=True)
    assert len(store.names("steps/")) == 4
    assert "ckpt-16.index" in restored(store, tmp_path / "whole")


def test_a_process_that_was_left_over_writes_nothing_that_counts(tmp_path: Path) -> None:
    store, local = FolderStore(tmp_path / "store"), tmp_path / "local"
    old, new = Archive(store), Archive(store)
    for archive in (old, new):
        archive.restore(local)
    for step in (8, 16):
        write(local, step)
    new.keep(local, 8, has_new_best=False)
    pointed = store.read(POINTER)
    with pytest.raises(Superseded, match="Another process has written a checkpoint"):
        old.keep(local, 16, has_new_best=False)
    assert store.read(POINTER) == pointed
    new.keep(local, 16, has_new_best=False)
    found = store.read(POINTER)
    assert found is not None
    assert sorted(Pointer.model_validate_json(found).files) == store.names("steps/")


class Overtaking(FolderStore):
    """A store where the chief keeps its next checkpoints while another process fetches."""

    keeps: tuple[Callable[[], None], ...] = ()

    def fetch(self, name: str, path: Path) -> bool:
        if self.keeps:
            self.keeps[0]()
            self.keeps = self.keeps[1:]
        return super().fetch(name, path)


def test_a_restore_that_the_chief_overtakes_starts_again_at_the_newer_checkpoint(tmp_path: Path) -> None:
    store, local = Overtaking(tmp_path / "store"), tmp_path / "local"
    chief = Archive(store)
    for step in (8, 16, 24):
        write(local, step)
    chief.keep(local, 8, has_new_best=False)
    store.keeps = tuple(lambda s=s: chief.keep(local, s, has_new_best=False) for s in (16, 24))
    assert {"checkpoint", "state-24.json"} <= restored(store, tmp_path / "fresh")
    assert "ckpt-24" in (tmp_path / "fresh" / "checkpoint").read_text()


def test_a_file_that_is_gone_for_good_is_an_error(tmp_path: Path) -> None:
    store, local = FolderStore(tmp_path / "store"), tmp_path / "local"
    write(local, 8)
    Archive(store).keep(local, 8, has_new_best=False)
    store.delete(store.names("steps/")[0])
    with pytest.raises(StorageError, match=r"is gone, though checkpoint\.json names it"):
        restored(store, tmp_path / "fresh")


def test_the_best_weights_stay_until_there_are_better_ones(tmp_path: Path) -> None:
    store, local = FolderStore(tmp_path / "store"), tmp_path / "local"
    archive = Archive(store)
    write(local, 8)
    assert not archive.fetch_best(tmp_path / "best")
    (local / "best.npz").write_text("of step 8")
    archive.keep(local, 8, has_new_best=True)
    for step in (16, 24):
        write(local, step)
        archive.keep(local, step, has_new_best=False)
    assert Archive(store).fetch_best(tmp_path / "best")
    assert (tmp_path / "best").read_text() == "of step 8"
    assert len(store.names("steps/")) == 4
    forget(store.address)
    assert store.names() == []


def test_a_training_goes_on_in_another_process_with_nothing_but_the_store(tmp_path: Path) -> None:
    project = project_of(epochs=3, ema=True, checkpoint_steps=5, batch_size=64)
    straight = loop_of(project).run()
    store = FolderStore(tmp_path / "store")
    first = loop_of(project, folder=tmp_path / "first", archive=Archive(store))
    first.watch = Watch(wants_stop=lambda: first.state.step >= 20)
    with pytest.raises(Stopped):
        first.run()
    second = loop_of(project, folder=tmp_path / "second", archive=Archive(store))
    state = second.run()
    assert state.resumed_at == (first.state.step,)
    assert state.step == straight.step == 48
    assert [e.loss for e in state.history] == pytest.approx([e.loss for e in straight.history], abs=1e-6)


def test_progress_is_told_seldom_enough_for_a_bucket_and_at_every_epochs_end(tmp_path: Path) -> None:
    now = 0.0
    loop = loop_of(project_of(epochs=1))
    ended = loop.run()

    class Counting(FolderStore):
        written = 0

        def write(self, name: str, data: bytes, *, is_new: bool = False) -> bool:
            assert name == PROGRESS
            self.written += 1
            return super().write(name, data, is_new=is_new)

    store = Counting(tmp_path)
    store.address = "gs://bucket/folder"
    reports = Reports(store, clock=lambda: now)
    for now in (0.0, 0.5, 1.9, 2.1, 2.2, 4.0, 4.2):
        reports.progress(LoopState(step=int(10 * now)))
    assert store.written == 3
    reports.progress(ended)
    assert store.written == 4
    assert store.read(PROGRESS) == ended.model_dump_json().encode()
