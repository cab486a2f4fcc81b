"""The store keeps its promises, whether it is a folder or a bucket."""

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lockgate.errors import StorageError
from lockgate.storage import Conflict, Store, address_of, store_at
from tests.data import emulator


@pytest.fixture(params=["folder", pytest.param("bucket", marks=emulator.marks)])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty store of either kind."""
    if request.param == "folder":
        (tmp_path / "neighbour").touch()
        return str(tmp_path / "store")
    bucket = emulator.new_bucket()
    store_at(bucket).write("some/neighbour", b"")
    return f"{bucket}/some/where"


@pytest.fixture
def store(address: str) -> Store:
    return store_at(address)


def test_what_is_written_is_read_and_the_last_writer_wins(store: Store) -> None:
    assert store.read("a/b.json") is None
    assert store.write("a/b.json", b"one")
    assert store.write("a/b.json", b"two")
    assert store.read("a/b.json") == b"two"


def test_names_are_sorted_and_by_prefix(store: Store) -> None:
    assert store.names() == []
    assert store.names("models/") == []
    for name in ("models/b/x", "models/a/y", "models2/c", "top"):
        store.write(name, b"")
    assert store.names() == ["models/a/y", "models/b/x", "models2/c", "top"]
    assert store.names("models/") == ["models/a/y", "models/b/x"]
    assert store.names("models") == ["models/a/y", "models/b/x", "models2/c"]
    assert store.names("models/b") == ["models/b/x"]


def test_new_is_written_once(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    assert store.write("x", b"content", is_new=True)
    assert not store.write("x", b"content", is_new=True)
    assert not store.send(file, "x", is_new=True)
    with pytest.raises(Conflict, match="is there already, with other content"):
        store.write("x", b"other", is_new=True)
    file.write_bytes(b"another")  # as long as what is there
    with pytest.raises(Conflict):
        store.send(file, "x", is_new=True)
    assert store.read("x") == b"content"


def test_files_go_there_and_back(store: Store, tmp_path: Path) -> None:
    content = bytes(range(256)) * 100_000  # 25.6 MB: more than one request to a bucket
    (tmp_path / "sent").write_bytes(content)
    assert store.send(tmp_path / "sent", "deep/er/file")
    assert store.fetch("deep/er/file", tmp_path / "new" / "fetched")
    assert (tmp_path / "new" / "fetched").read_bytes() == content
    assert not store.fetch("absent", tmp_path / "absent")
    assert not (tmp_path / "absent").exists()


def test_many_files_go_at_a_time(store: Store, tmp_path: Path) -> None:
    names = [f"part/{number:03}" for number in range(40)]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    store.send_all(tmp_path, names, is_new=True)
    assert store.names("part/") == names
    store.fetch_all([*names, "part/absent"], tmp_path / "back")
    assert {p.name: p.read_text() for p in (tmp_path / "back" / "part").iterdir()} == {
        Path(name).name: name for name in names
    }


def test_one_file_of_many_that_cannot_be_sent_is_an_error(store: Store, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("x")
    with pytest.raises(StorageError, match="absent does not exist"):
        store.send_all(tmp_path, ["there", "absent"])


def test_deleting_twice_is_success(store: Store) -> None:
    store.write("x", b"1")
    store.delete("x")
    store.delete("x")
    assert store.names() == []


def test_no_change_of_several_writers_is_lost(address: str) -> None:
    """Two stores, as two processes would have them, and writers that start together."""
    start = threading.Barrier(4)

    def add(worker: int) -> None:
        store = store_at(address)
        start.wait()
        for number in range(5):
            store.replace(
                "list", lambda b, n=number: json.dumps([*json.loads(b or b"[]"), [worker, n]]).encode()
            )

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(4)))
    found = json.loads(store_at(address).read("list") or b"")
    assert sorted(found) == [[worker, number] for worker in range(4) for number in range(5)]


def test_a_change_to_the_same_writes_nothing(store: Store) -> None:
    assert store.replace("x", lambda before: before or b"first") == b"first"
    assert store.replace("x", lambda before: before or b"second") == b"first"


def test_of_two_writers_of_something_new_one_is_told(address: str) -> None:
    start = threading.Barrier(2)

    def write(content: bytes) -> str:
        store = store_at(address)
        start.wait()
        try:
            return f"written {content.decode()}" if store.write("x", content, is_new=True) else "there"
        except Conflict:
            return "conflict"

    with ThreadPoolExecutor(2) as pool:
        said = sorted(pool.map(write, [b"1", b"2"]))
    kept = (store_at(address).read("x") or b"").decode()
    assert said == ["conflict", f"written {kept}"]


def test_artifacts_have_an_address_outside_of_their_pod(tmp_path: Path) -> None:
    assert address_of(Path("/gcs/bucket/run/features")) == "gs://bucket/run/features"
    assert address_of(tmp_path / "features") == str(tmp_path / "features")
    with pytest.raises(StorageError, match=r"minio://bucket/x is not in Google Cloud Storage") as error:
        address_of(Path("/minio/bucket/x"))
    assert "pipeline root" in error.value.next_step


@pytest.mark.parametrize("address", ["gs://", "gs:///path", "gs://Bucket/x", "gs://-b-/x", "gs://a b/c"])
def test_an_address_without_a_bucket_is_refused(address: str) -> None:
    with pytest.raises(StorageError, match=f"{address} is no address in a bucket"):
        store_at(address)


def test_without_credentials_the_error_says_how_to_get_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/no/such/file")
    with pytest.raises(StorageError, match="gs://bucket/x cannot be reached") as error:
        store_at("gs://bucket").read("x")
    assert "gcloud auth application-default login" in error.value.next_step


def test_google_cloud_storage_is_loaded_for_a_bucket_alone(tmp_path: Path) -> None:
    program = (
        "import sys; from lockgate.workspace import Workspace; Workspace(sys.argv[1]).crown('a');"
        "assert not [m for m in sys.modules if m.startswith(('google.cloud', 'google.auth'))]"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path], check=True, cwd=Path(__file__).parents[2])
