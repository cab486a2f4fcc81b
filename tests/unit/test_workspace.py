"""The workspace, in a folder and in a bucket: champions, the gate's history, the mirror."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lockgate.data import history
from lockgate.data.profile import Profile
from lockgate.errors import StorageError
from lockgate.workspace import Workspace
from tests.data import emulator


@pytest.fixture(params=["folder", pytest.param("bucket", marks=emulator.marks)])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty workspace of either kind."""
    return str(tmp_path / "space") if request.param == "folder" else f"{emulator.new_bucket()}/space"


def test_the_champion_is_the_last_that_was_crowned(address: str) -> None:
    workspace = Workspace(address)
    assert workspace.champion() is None
    assert workspace.crown("a" * 64) is None
    assert workspace.crown("b" * 64) == "a" * 64
    before = workspace.store.read("champion.json")
    assert workspace.crown("b" * 64) == "b" * 64
    assert workspace.store.read("champion.json") == before
    assert Workspace(address).champion() == "b" * 64


def test_of_champions_crowned_at_the_same_time_none_is_lost(address: str) -> None:
    """Each but the last is what another one replaced, and knows it."""
    start = threading.Barrier(4)

    def crown(digits: list[str]) -> list[str | None]:
        workspace = Workspace(address)
        start.wait()
        return [workspace.crown(digit * 64) for digit in digits]

    with ThreadPoolExecutor(4) as pool:
        replaced = [d for found in pool.map(crown, ["012", "345", "678", "9ab"]) for d in found]
    last = Workspace(address).champion()
    crowned = {digit * 64 for digit in "0123456789ab"}
    assert sorted([*(digest or "" for digest in replaced), last]) == sorted(["", *crowned])


def test_snapshots_that_pass_at_the_same_time_are_all_remembered(address: str) -> None:
    start = threading.Barrier(4)

    def remember(content: str) -> None:
        start.wait()
        history.remember(Workspace(address), Profile(snapshot=content, splits={}))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(remember, ["a", "b", "c", "d"]))
    passed = history.passed(Workspace(address))
    assert sorted(passed) == ["a", "b", "c", "d"]
    newest = history.previous(Workspace(address), passed[-1])
    assert newest is not None
    assert newest.snapshot == passed[-2]


def test_a_folder_needs_neither_fetching_nor_publishing(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "space")
    assert workspace.fetch("data/x") == tmp_path / "space" / "data" / "x"
    workspace.publish("data/x")
    assert workspace.fetch_folder("data") == tmp_path / "space" / "data"
    assert not (tmp_path / "space").exists()


@pytest.mark.parametrize("kind", [pytest.param("bucket", marks=emulator.marks)])
def test_what_is_published_is_fetched_elsewhere(machine: Callable[[str], None], kind: str) -> None:
    here = Workspace(f"{emulator.new_bucket()}/space")
    for name in ("data/1", "data/deep/2", "top"):
        (here.root / name).parent.mkdir(parents=True, exist_ok=True)
        (here.root / name).write_text(name)
    here.publish("data", "top")
    (here.root / "data/1").write_text("first one wins")
    here.publish("data/1")

    machine("second")
    there = Workspace(here.address)
    assert there.root != here.root
    assert there.fetch("top").read_text() == "top"
    assert not there.fetch("absent").exists()
    folder = there.fetch_folder("data")
    assert {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()} == {
        "1": "data/1",
        "deep/2": "data/deep/2",
    }


def test_the_mirror_is_ones_own(machine: Callable[[str], None], tmp_path: Path) -> None:
    first, second = Workspace("gs://bucket/a").root, Workspace("gs://bucket/b").root
    assert first != second
    assert Workspace("gs://bucket/a/").root == first
    assert first.parent.stat().st_mode & 0o777 == 0o700

    machine("attacked")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "machines" / "attacked" / first.parent.name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="belongs to somebody else"):
        Workspace("gs://bucket/a")


def test_champion_json_says_whom_the_champion_replaced(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.crown("a" * 64)
    workspace.crown("b" * 64)
    pointer = json.loads((tmp_path / "champion.json").read_text())
    assert pointer == {"digest": "b" * 64, "replaced": "a" * 64}
