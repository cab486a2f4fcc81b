"""The bucket's store where the network fails: real requests through a proxy that loses and damages some."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate import bucket as buckets
from lockgate import gcs
from lockgate.errors import StorageError
from lockgate.steps.evaluate import evaluate
from lockgate.storage import Conflict, Store, store_at
from tests.data import emulator
from tests.data.emulator import Network
from tests.data.runs import project, settings

pytestmark = emulator.marks
EVALUATE = ("snapshot", "model", "training", "evaluation", "verdict", "page")
LARGE = bytes(range(256)) * 80_000  # 20.5 MB: three requests


@pytest.fixture
def bucket() -> str:
    return emulator.new_bucket()


@pytest.fixture
def network(bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """The way to the bucket, from here on; failing requests are repeated at once, and for 3 seconds."""
    monkeypatch.setattr(gcs, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(gcs, "DEADLINE_SECONDS", 3.0)
    with emulator.network() as (url, state):
        monkeypatch.setenv(gcs.EMULATOR_VARIABLE, url)
        yield state


@pytest.fixture
def store(bucket: str, network: Network) -> Store:
    return store_at(f"{bucket}/w")


@pytest.mark.parametrize("fault", ["busy", "dead"])
def test_requests_that_fail_for_a_while_are_repeated(store: Store, network: Network, fault) -> None:
    for act in (
        lambda: store.write("a", b"1", is_new=True),
        lambda: store.write("b", b"2"),
        lambda: store.replace("c", lambda _: b"3"),
        lambda: store.read("a"),
        store.names,
        lambda: store.delete("b"),
    ):
        network.requests.clear()
        network.fail(fault, fault, fault)
        act()
        assert len(network.requests) >= 4
    assert store.names() == ["a", "c"]


def test_a_write_whose_answer_was_lost_is_done_once(store: Store, network: Network) -> None:
    network.fail("lost", method="POST")
    store.replace("count", lambda before: str(int(before or 0) + 1).encode())
    network.fail("lost", method="POST")
    assert store.replace("count", lambda before: str(int(before or 0) + 1).encode()) == b"2"
    assert store.read("count") == b"2"
    network.fail("lost", method="POST")
    assert store.write("new", b"content", is_new=True)
    assert store.read("new") == b"content"
    network.fail("lost", method="DELETE")
    store.delete("new")
    assert store.names() == ["count"]


def test_what_each_call_costs_in_requests(store: Store, network: Network, tmp_path: Path) -> None:
    store.read("absent")  # the first one looks for the bucket, too
    for requests, act in (
        (1, lambda: store.write("x", b"1", is_new=True)),
        (2, lambda: store.write("x", b"2")),
        (1, lambda: store.read("x")),
        (1, lambda: store.fetch("x", tmp_path / "x")),
        (2, lambda: store.replace("x", lambda _: b"3")),
        (1, store.names),
        (1, lambda: store.read("absent")),
        (2, lambda: store.delete("x")),
    ):
        network.requests.clear()
        act()
        assert len(network.requests) == requests, network.requests


def test_another_writer_between_reading_and_writing_is_seen(store: Store, bucket: str) -> None:
    other = store_at(f"{bucket}/w")

    def change(before: bytes | None) -> bytes:
        names = json.loads(before or b"[]")
        if not names:
            other.write("list", b'["other"]')
        return json.dumps([*names, "mine"]).encode()

    store.replace("list", change)
    assert store.read("list") == b'["other", "mine"]'


def test_writers_that_never_give_way_end_in_an_error(
    store: Store, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "ATTEMPTS", 4)
    other = store_at(f"{bucket}/w")
    turns = iter(range(1000))

    def change(_: bytes | None) -> bytes:
        other.write("x", f"other {next(turns)}".encode())
        return b"mine"

    with pytest.raises(Conflict, match="was changed by others 4 times"):
        store.replace("x", change)


def test_a_damaged_download_is_refused(store: Store, network: Network, tmp_path: Path) -> None:
    store.write("x", b"content" * 1000)
    network.fail_always("damaged", method="GET", path="alt=media")
    with pytest.raises(StorageError, match="was damaged on its way"):
        store.read("x")
    with pytest.raises(StorageError, match="was damaged on its way"):
        store.fetch("x", tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_broke_off_goes_on_where_it_was(
    store: Store, network: Network, tmp_path: Path
) -> None:
    (tmp_path / "sent").write_bytes(LARGE)
    store.send(tmp_path / "sent", "x")
    network.requests.clear()
    network.fail("cut", method="GET", path="alt=media")
    assert store.fetch("x", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == LARGE
    assert len(network.requests) == 2


def test_a_download_that_broke_off_and_is_damaged_is_refused(
    store: Store, network: Network, tmp_path: Path
) -> None:
    """google-cloud-storage itself does not look at the checksum then."""
    (tmp_path / "sent").write_bytes(LARGE)
    store.send(tmp_path / "sent", "x")
    network.fail("cut", "damaged", method="GET", path="alt=media")
    with pytest.raises(StorageError, match="arrived with the checksum"):
        store.fetch("x", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_large_file_goes_up_in_pieces_that_are_repeated(
    store: Store, network: Network, tmp_path: Path
) -> None:
    (tmp_path / "sent").write_bytes(LARGE)
    network.fail("busy", "busy", method="PUT")
    store.send(tmp_path / "sent", "x", is_new=True)
    assert len([m for m, _ in network.requests if m == "PUT"]) >= 5
    store.fetch("x", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == LARGE


def test_an_upload_that_broke_off_leaves_nothing(store: Store, network: Network, tmp_path: Path) -> None:
    (tmp_path / "sent").write_bytes(LARGE)
    pieces = iter([None, *["dead"] * 1000])
    network.faults = lambda method, path: next(pieces) if method == "PUT" else None
    with pytest.raises(StorageError, match="cannot be reached"):
        store.send(tmp_path / "sent", "x", is_new=True)
    network.faults = lambda method, path: None
    assert store.names() == []
    assert store.read("x") is None
    assert store.send(tmp_path / "sent", "x", is_new=True)


def test_an_upload_that_is_damaged_on_its_way_is_refused(
    store: Store, network: Network, tmp_path: Path
) -> None:
    (tmp_path / "sent").write_bytes(LARGE)
    network.fail("spoilt", method="PUT")
    with pytest.raises(StorageError, match="damaged"):
        store.send(tmp_path / "sent", "x", is_new=True)
    assert store.names() == []


def test_a_missing_permission_is_named(store: Store, network: Network, bucket: str) -> None:
    network.fail_always("forbidden")
    for act, permission, role in (
        (lambda: store.read("x"), "storage.objects.get", "objectViewer"),
        (store.names, "storage.objects.list", "objectViewer"),
        (lambda: store.write("x", b"", is_new=True), "storage.objects.create", "objectUser"),
    ):
        with pytest.raises(StorageError, match=f"the permission {permission} is missing") as error:
            act()
        assert role in error.value.allowed
        assert f"add-iam-policy-binding {bucket}" in error.value.next_step
    network.faults = lambda method, path: None
    store.write("x", b"")
    network.fail_always("forbidden", method="DELETE")
    with pytest.raises(StorageError, match=r"the permission storage\.objects\.delete is missing"):
        store.delete("x")


def test_a_bucket_that_is_not_there_is_named(network: Network) -> None:
    store = store_at("gs://lockgate-no-such-bucket/w")
    for act in (
        lambda: store.read("x"),
        store.names,
        lambda: store.write("x", b""),
        lambda: store.delete("x"),
    ):
        with pytest.raises(StorageError, match="There is no bucket lockgate-no-such-bucket"):
            act()


def test_nobody_answering_is_an_error_after_the_deadline(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(gcs.EMULATOR_VARIABLE, "http://127.0.0.1:9")
    with pytest.raises(StorageError, match="cannot be reached") as error:
        store_at("gs://bucket/w").read("x")
    assert "Check the network" in error.value.next_step


def test_a_step_whose_bucket_cannot_be_reached_says_so(
    network: Network, bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before it has begun: looking for the champion is part of knowing what is asked of it."""
    network.fail_always("dead")
    with pytest.raises(StorageError):
        evaluate(settings(project()), bucket, **dict.fromkeys(EVALUATE, tmp_path))
    assert f"[evaluate] failed {bucket}/champion.json cannot be reached" in capsys.readouterr().out
