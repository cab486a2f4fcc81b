"""Collect freezes rows: equal input, equal digest; partitions never change; nothing is left half-written."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from lockgate.data.digest import ContentDigest
from lockgate.data.fingerprint import fingerprint
from lockgate.data.partitions import GROUP_ROWS
from lockgate.data.snapshot import read, scan, verify
from lockgate.errors import DataError, StorageError
from lockgate.steps.collect import collect
from lockgate.workspace import Workspace
from tests.data.runs import collected, collected_frame, project, rows, settings

SPLITS = ("train", "tune", "test", "live")


def test_same_rows_give_the_same_snapshot_whatever_the_format(tmp_path: Path) -> None:
    frame = rows()
    frame.write_parquet(tmp_path / "one.parquet", row_group_size=100, compression="snappy")
    frame.write_csv(tmp_path / "two.csv", datetime_format="%Y-%m-%dT%H:%M:%S")
    (tmp_path / "three").mkdir()
    frame[:1234].write_parquet(tmp_path / "three" / "1.parquet")
    frame[1234:].write_parquet(tmp_path / "three" / "2.parquet")
    found = {
        collected(tmp_path / f"run{i}", project(tmp_path / name))[1].content
        for i, name in enumerate(("one.parquet", "two.csv", "three"))
    }
    assert len(found) == 1


def test_rows_keep_their_order_and_their_split(tmp_path: Path) -> None:
    frame = rows()
    workspace, snapshot, _ = collected_frame(tmp_path, frame)
    train = read(workspace, snapshot, "train")
    assert train.equals(frame.filter(pl.col("when") < datetime(2024, 9, 1)))
    assert snapshot.rows == frame.height == sum(snapshot.rows_of(split) for split in SPLITS)
    assert [p.path.split("/")[1][:7] for p in snapshot.partitions][:2] == ["2024-01", "2024-02"]
    assert scan(workspace, snapshot, "live").collect().schema == frame.schema
    verify(workspace, snapshot)


def test_a_new_month_is_added_without_touching_the_old_ones(tmp_path: Path) -> None:
    frame = rows()
    early = frame.filter(pl.col("when") < datetime(2024, 12, 1))
    workspace, before, _ = collected_frame(tmp_path, early)
    times = {p: (workspace.root / p.path).stat().st_mtime_ns for p in before.partitions}
    workspace, after, _ = collected_frame(tmp_path, frame)
    assert len(after.partitions) == len(before.partitions) + 1
    assert set(before.partitions) <= set(after.partitions)
    assert {p: (workspace.root / p.path).stat().st_mtime_ns for p in before.partitions} == times
    assert after.content != before.content


def test_verify_notices_a_changed_and_a_lost_partition(tmp_path: Path) -> None:
    workspace, snapshot, _ = collected_frame(tmp_path, rows())
    path = workspace.root / snapshot.partitions[0].path
    frame = pl.read_parquet(path)
    frame.with_columns(pl.col("size") * 2).write_parquet(path)
    with pytest.raises(DataError, match="was changed after it was collected"):
        verify(workspace, snapshot)
    path.unlink()
    with pytest.raises(DataError, match="is gone"):
        read(workspace, snapshot, "train")


def test_rows_outside_every_span_are_counted_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pl.concat([rows(), rows(50).with_columns(pl.col("when").dt.offset_by("5y"))])
    _, snapshot, _ = collected_frame(tmp_path, frame)
    assert snapshot.rows == 3000
    assert "50 rows outside every split left out" in capsys.readouterr().out


def test_row_groups_and_partitions_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lockgate.data.partitions.PARTITION_ROWS", 20_000)
    monkeypatch.setattr("lockgate.data.partitions.MEMORY", 200_000)
    frame = rows(60_000)
    workspace, snapshot, _ = collected_frame(tmp_path, frame, data={"partition": "year"})
    assert max(p.rows for p in snapshot.partitions) == 20_000
    for partition in snapshot.partitions:
        lazy = pl.scan_parquet(workspace.root / partition.path)
        assert lazy.collect().height == partition.rows
        import pyarrow.parquet as pq

        found = pq.ParquetFile(workspace.root / partition.path).metadata
        assert max(found.row_group(i).num_rows for i in range(found.num_row_groups)) <= GROUP_ROWS
    joined = pl.concat([read(workspace, snapshot, split) for split in ("train", "tune", "test")])
    assert joined.equals(frame)


def test_columns_may_have_any_name(tmp_path: Path) -> None:
    frame = rows().rename({"size": "größe", "colour": "цвет 🎨", "late": "遅い", "when": 'wann,\n"genau"'})
    more = {"data": {"label": "遅い", "time": 'wann,\n"genau"'}, "features": {"größe": {}, "цвет 🎨": {}}}
    workspace, snapshot, _ = collected_frame(tmp_path, frame, **more)
    assert read(workspace, snapshot, "train").columns == frame.columns


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"data": {"label": "lat"}},
            "no column 'lat', which project.yaml names in data.label. Did you mean 'late'?",
        ),
        (
            {"features": {"sizes": {}}},
            "no column 'sizes', which project.yaml names in features. Did you mean 'size'?",
        ),
        (
            {"features": {"colour": {"kind": "number"}}},
            "Column 'colour' is to be a number, but it holds String",
        ),
        ({"data": {"time": "count"}}, "The time column 'count' holds Int64"),
        (
            {"split": {"by": "random", "group": "house"}},
            "no column 'house', which project.yaml names in split.group",
        ),
        ({"evaluate": {"slices": [{"column": "house"}]}}, "names in evaluate.slices"),
    ],
)
def test_columns_that_do_not_fit(tmp_path: Path, change: dict[str, object], said: str) -> None:
    with pytest.raises(DataError) as caught:
        collected_frame(tmp_path, rows(), **change)
    assert said in caught.value.given


def test_split_without_rows_names_the_spans(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        collected_frame(tmp_path, rows().filter(pl.col("when") < datetime(2024, 10, 1)))
    assert "split.test" in caught.value.given
    assert "runs from 2024-01-01 00:00:00 to 2024-09-30" in caught.value.given
    assert not (tmp_path / "snapshot").exists()


def test_header_without_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("when,size,late\n")
    with pytest.raises(DataError, match="has no rows"):
        collected(tmp_path, project(tmp_path / "a.csv"))


def test_fingerprint_follows_the_files(tmp_path: Path) -> None:
    source = tmp_path / "rows.csv"
    source.write_text("a\n1\n")
    before = fingerprint("rows.csv", tmp_path)
    assert fingerprint("rows.csv", tmp_path) == before
    source.write_text("a\n12\n")
    assert fingerprint("rows.csv", tmp_path) != before
    (tmp_path / "my.py").write_text("def f(): ...")
    assert fingerprint("my.py:f", tmp_path) == fingerprint("my.py:g", tmp_path)


DAYS = {"data": {"partition": "day"}}


def test_killed_collect_leaves_nothing_half_written(tmp_path: Path) -> None:
    rows(20_000).write_parquet(tmp_path / "rows.parquet")
    wanted = project(tmp_path / "rows.parquet", **DAYS)
    (tmp_path / "settings.json").write_text(settings(wanted))
    root = tmp_path / "workspace"
    program = """
        import sys
        from pathlib import Path
        from lockgate.steps.collect import collect
        folder = Path(sys.argv[1])
        run = (folder / "settings.json").read_text()
        collect(run, str(folder / "workspace"), snapshot=folder / "snapshot")
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program), str(tmp_path)], cwd=Path.cwd())
    while len(list((root / "data").glob("*.parquet"))) < 5 and child.poll() is None:
        time.sleep(0.001)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL, "the collect was over before it could be killed"

    assert not (tmp_path / "snapshot" / "snapshot.json").exists()
    written = list((root / "data").glob("*.parquet"))
    assert 5 <= len(written) < 366
    for path in written:
        frame = pl.read_parquet(path)
        assert digest_of(frame).startswith(path.stem.rsplit("-", 1)[1])

    workspace, again = collected(tmp_path, wanted)
    verify(workspace, again)
    assert not list((root / "data").glob(".*"))
    assert again.content == collected(tmp_path / "fresh", wanted)[1].content


def digest_of(frame: pl.DataFrame) -> str:
    from lockgate.data.snapshot import columns_of

    digest = ContentDigest(columns_of(frame))
    digest.update(frame)
    return digest.hexdigest()


@pytest.mark.root
@pytest.mark.skipif(os.getuid() != 0, reason="mounting needs root")
def test_full_disk_is_a_sentence_and_costs_nothing(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(small)], check=False)
    if mounted.returncode:
        pytest.skip("this container may not mount")
    try:
        rows(20_000).write_parquet(tmp_path / "rows.parquet")
        run = settings(project(tmp_path / "rows.parquet", **DAYS))
        with pytest.raises(StorageError) as caught:
            collect(run, str(small / "workspace"), snapshot=tmp_path / "snapshot")
        assert "The disk is full" in caught.value.given
        left = list((small / "workspace" / "data").iterdir())
        assert all(path.suffix == ".parquet" for path in left)
        for path in left:
            pl.read_parquet(path)
        assert not (tmp_path / "snapshot").exists()
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_workspace_without_permission(tmp_path: Path) -> None:
    """Root may write anywhere, so a child gives its rights up, after it has loaded all it needs."""
    program = """
        import os, sys
        from pathlib import Path
        from lockgate.errors import StorageError
        from lockgate.steps.collect import collect
        folder = Path(sys.argv[1])
        run = (folder / "settings.json").read_text()
        collect(run, str(folder / "first"), snapshot=folder / "snapshot")
        if os.getuid() == 0:
            for place in (folder, *folder.parents):
                if str(place).startswith("/tmp/"):
                    place.chmod(0o755)
            os.setegid(65534)
            os.seteuid(65534)
        try:
            collect(run, str(folder / "locked" / "workspace"), snapshot=folder / "snapshot2")
        except StorageError as error:
            print("SAID", error)
    """
    rows().write_parquet(tmp_path / "rows.parquet")
    (tmp_path / "settings.json").write_text(settings(project(tmp_path / "rows.parquet")))
    (tmp_path / "locked").mkdir(mode=0o555)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "SAID" in done.stdout, done.stdout + done.stderr
    assert "cannot be written: Permission denied" in done.stdout
    assert "--workspace" in done.stdout


def test_two_snapshots_in_one_workspace_share_what_is_equal(tmp_path: Path) -> None:
    workspace, one, _ = collected_frame(tmp_path, rows())
    _, two, _ = collected_frame(tmp_path, rows().with_columns(pl.col("when").dt.offset_by("0d")))
    assert one.content == two.content
    assert len(list(Workspace(workspace.root).data.glob("*.parquet"))) == len(one.partitions)
