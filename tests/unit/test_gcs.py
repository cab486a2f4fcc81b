"""Sources in a bucket, against an emulator: `STORAGE_EMULATOR_HOST=http://localhost:9023 pytest -m gcs`."""

from pathlib import Path

import pytest

from lockgate import gcs
from lockgate.data.fingerprint import fingerprint
from lockgate.errors import StorageError
from lockgate.storage import store_at
from tests.data import emulator
from tests.data.runs import collected, project, rows

pytestmark = emulator.marks


@pytest.fixture
def bucket(tmp_path: Path) -> str:
    """A bucket with rows in two files under in/, and one beside them whose name starts alike."""
    made = emulator.new_bucket()
    for name, frame in (
        ("in/1.parquet", rows()[:1000]),
        ("in/2.parquet", rows()[1000:]),
        ("in2/3.parquet", rows()),
    ):
        frame.write_parquet(tmp_path / "part.parquet")
        store_at(made).send(tmp_path / "part.parquet", name)
    return made


def test_a_bucket_gives_the_same_snapshot_as_a_folder(bucket: str, tmp_path: Path) -> None:
    rows().write_parquet(tmp_path / "rows.parquet")
    local = collected(tmp_path / "local", project(tmp_path / "rows.parquet"))[1]
    workspace, remote = collected(tmp_path / "remote", project(f"{bucket}/in"))
    assert remote.content == local.content
    assert not (workspace.data / ".incoming").exists()


def test_one_object_is_a_source_too(bucket: str, tmp_path: Path) -> None:
    assert collected(tmp_path, project(f"{bucket}/in2/3.parquet"))[1].rows == 3000


def test_fingerprint_follows_the_objects(bucket: str, tmp_path: Path) -> None:
    before = fingerprint(f"{bucket}/in", tmp_path)
    assert fingerprint(f"{bucket}/in/", tmp_path) == before
    assert fingerprint(f"{bucket}/in2", tmp_path) != before


def test_nothing_there_is_a_sentence(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="There is nothing at"):
        gcs.objects(f"{bucket}/absent")
    with pytest.raises(StorageError):
        gcs.objects("gs://lockgate-no-such-bucket/in")


def test_a_source_that_is_deleted_while_it_is_read_is_told(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with emulator.network() as (url, network):
        monkeypatch.setenv(gcs.EMULATOR_VARIABLE, url)

        def delete(_: str, path: str) -> None:
            if "alt=media" in path and "2.parquet" in path:
                network.faults = lambda method, path: None
                store_at(bucket).delete("in/2.parquet")

        network.faults = delete
        with pytest.raises(StorageError, match=r"in/2\.parquet was deleted while"):
            gcs.download(f"{bucket}/in", tmp_path / "fetched")
