"""Steps on a workspace in a bucket do what they do on a folder, each on a machine of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lockgate import gcs
from lockgate.data import snapshot as snapshots
from lockgate.errors import DataError
from lockgate.records import Snapshot
from lockgate.steps.collect import collect
from lockgate.steps.step import content_digest
from lockgate.steps.validate import validate
from lockgate.workspace import Workspace
from tests.data import emulator
from tests.data.runs import needs_tfdv, project, rows, settings

pytestmark = emulator.marks


def frozen(folder: Path, address: str) -> Snapshot:
    """A snapshot in that workspace, by the step, from a source that is the same for all."""
    source = folder.parent / "source.parquet"
    if not source.exists():
        rows().write_parquet(source)
    collect(settings(project(source)), address, snapshot=folder / "snapshot")
    return snapshots.load(folder / "snapshot")


@pytest.fixture
def bucket() -> str:
    return f"{emulator.new_bucket()}/space"


@needs_tfdv
def test_collect_validate_transform_give_what_a_folder_gives(
    machine: Callable[[str], None], bucket: str, tmp_path: Path
) -> None:
    from lockgate.steps.transform import transform

    told = settings(project(tmp_path / "source.parquet"))
    made = {}
    for kind, address in (("folder", str(tmp_path / "space")), ("bucket", bucket)):
        folder = tmp_path / kind
        machine(f"collect {kind}")
        made[kind] = frozen(folder, address)
        machine(f"validate {kind}")
        paths = {name: folder / name for name in ("statistics", "verdict", "page")}
        assert validate(told, address, snapshot=folder / "snapshot", **paths)
        machine(f"transform {kind}")
        given = {name: folder / name for name in ("snapshot", "statistics", "verdict")}
        transform(told, address, **given, features=folder / "features")
    assert made["bucket"] == made["folder"]
    for name in ("statistics", "features", "verdict"):
        assert content_digest(tmp_path / "bucket" / name) == content_digest(tmp_path / "folder" / name)
    kept = [p.relative_to(tmp_path / "space").as_posix() for p in (tmp_path / "space").rglob("*.*")]
    outlives = sorted(n for n in kept if n.startswith(("data/", "statistics/")) and "/." not in n)
    assert Workspace(bucket).store.names() == outlives


def test_what_is_named_is_there_and_collecting_again_sends_nothing(
    machine: Callable[[str], None], bucket: str, tmp_path: Path
) -> None:
    first = frozen(tmp_path / "first", bucket)
    assert Workspace(bucket).store.names() == sorted(p.path for p in first.partitions)
    machine("second")
    with emulator.network() as (url, network), pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", url)
        assert frozen(tmp_path / "second", bucket) == first
        assert [path for method, path in network.requests if method != "GET"] == []


def test_a_partition_that_was_lost_on_its_way_is_sent_again(bucket: str, tmp_path: Path) -> None:
    """A collect that was killed between writing here and sending leaves it here alone."""
    first = frozen(tmp_path / "first", bucket)
    Workspace(bucket).store.delete(first.partitions[0].path)
    frozen(tmp_path / "second", bucket)
    assert first.partitions[0].path in Workspace(bucket).store.names()


def test_a_partition_that_another_run_sends_first_in_other_bytes_is_left_to_it(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name stands for its rows; other versions of a library write the same rows in other bytes."""
    names = ["data/1", "data/2", "data/3"]
    monkeypatch.setattr(gcs, "PARALLEL", 1)  # so that the first upload is the one that comes too late
    with emulator.network() as (url, network):
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        workspace = Workspace(bucket)
        (workspace.root / "data").mkdir(parents=True)
        for name in names:
            (workspace.root / name).write_text("ours")

        def meanwhile(method: str, _: str) -> None:
            if method == "POST":
                network.faults = lambda method, path: None
                for name in names:
                    workspace.store.write(name, b"theirs", is_new=True)

        network.faults = meanwhile
        workspace.publish("data")
        assert [workspace.store.read(name) for name in names] == [b"theirs"] * 3


def test_only_the_partitions_of_the_split_that_is_read_are_fetched(
    machine: Callable[[str], None], bucket: str, tmp_path: Path
) -> None:
    snapshot = frozen(tmp_path / "first", bucket)
    machine("second")
    workspace = Workspace(bucket)
    assert snapshots.read(workspace, snapshot, "test").height == snapshot.rows_of("test")
    here = sorted(p.relative_to(workspace.root).as_posix() for p in workspace.root.rglob("*.parquet"))
    assert here == sorted(p.path for p in snapshot.partitions if p.split == "test")
    snapshots.verify(workspace, snapshot)


def test_a_partition_that_is_gone_is_named_by_its_address(
    machine: Callable[[str], None], bucket: str, tmp_path: Path
) -> None:
    snapshot = frozen(tmp_path / "first", bucket)
    gone = next(p.path for p in snapshot.partitions if p.split == "tune")
    Workspace(bucket).store.delete(gone)
    machine("second")
    snapshots.read(Workspace(bucket), snapshot, "train")
    with pytest.raises(DataError, match=f"{bucket}/{gone} of snapshot .* is gone"):
        snapshots.read(Workspace(bucket), snapshot, "tune")


def test_pods_keep_no_results_and_a_laptop_does(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: Callable[[str], None]
) -> None:
    frozen(tmp_path / "first", bucket)
    assert not (Workspace(bucket).root / "results").exists()
    monkeypatch.setenv("LOCKGATE_REUSE", "")
    frozen(tmp_path / "second", bucket)
    assert len(list((Workspace(bucket).root / "results" / "collect").iterdir())) == 1
    assert not [name for name in Workspace(bucket).store.names() if name.startswith("results")]
