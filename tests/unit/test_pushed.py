"""Pushed models in a workspace of either kind: whole or not to be seen, found again, never overwritten."""

import json
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lockgate import gcs
from lockgate.errors import ServingError, StorageError
from lockgate.shipping.folder import CARD, MANIFEST, Example, ServingSpec, folder_digest
from lockgate.shipping.pushed import bring, digests, publish
from lockgate.shipping.serve import model_folder
from lockgate.workspace import Workspace
from tests.data import emulator

only_bucket = pytest.mark.parametrize(
    "address", [pytest.param("bucket", marks=emulator.marks)], indirect=True
)


@pytest.fixture(params=["folder", pytest.param("bucket", marks=emulator.marks)])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty workspace of either kind."""
    return str(tmp_path / "space") if request.param == "folder" else f"{emulator.new_bucket()}/space"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Goes to a machine that knows nothing of the others."""

    def go(name: str) -> None:
        (tmp_path / name).mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / name))

    go("first")
    return go


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """What training wrote, as far as pushing looks at it."""
    folder = tmp_path / "trained"
    (folder / "saved_model" / "variables").mkdir(parents=True)
    (folder / "saved_model" / "saved_model.pb").write_bytes(b"graph")
    (folder / "saved_model" / "variables" / "variables.index").write_bytes(b"weights")
    (folder / "model.json").write_text("{}")
    return folder


def push(address: str, model: Path, card: str = "the card") -> tuple[Path, bool]:
    return publish(
        Workspace(address),
        model,
        ServingSpec(),
        Example(row={"x": 1}),
        lambda digest: {CARD: card.encode(), MANIFEST: f"model: {digest}, {card}".encode()},
    )


def test_a_second_push_finds_the_first_and_changes_nothing(
    address: str, model: Path, machine: Callable[[str], None]
) -> None:
    folder, is_new = push(address, model)
    assert is_new
    assert folder_digest(folder) == folder.name
    assert digests(Workspace(address)) == [folder.name]

    machine("second")
    again, is_new = push(address, model, "another card")
    assert not is_new
    assert again.name == folder.name
    assert (again / CARD).read_text() == "the card"
    assert Workspace(address).store.read(f"models/{folder.name}/{CARD}") == b"the card"


def test_a_pushed_model_is_brought_to_any_machine(
    address: str, model: Path, machine: Callable[[str], None]
) -> None:
    digest = push(address, model)[0].name
    Workspace(address).crown(digest)
    machine("second")
    folder = model_folder(Workspace(address), None)
    assert folder == model_folder(Workspace(address), digest[:6])
    assert folder_digest(folder) == folder.name == digest
    assert (folder / MANIFEST).read_text() == f"model: {digest}, the card"
    assert bring(Workspace(address), "0" * 64) is None
    with pytest.raises(ServingError, match="fits no model"):
        model_folder(Workspace(address), "0" * 64)


@only_bucket
@pytest.mark.parametrize("lost", ["model.json", CARD, MANIFEST])
def test_a_push_that_broke_off_is_not_seen_and_the_next_one_completes_it(
    address: str,
    model: Path,
    machine: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    lost: str,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(gcs, "DEADLINE_SECONDS", 0.5)
    with emulator.network() as (url, network), monkeypatch.context() as patch:
        patch.setenv(gcs.EMULATOR_VARIABLE, url)
        network.fail_uploads_of(lost)
        with pytest.raises(StorageError, match=f"{lost} cannot be reached"):
            push(address, model, "first")

    workspace = Workspace(address)
    assert workspace.store.names("models/")
    assert digests(workspace) == []
    digest = workspace.store.names("models/")[0].split("/")[1]
    assert bring(workspace, digest) is None

    machine("second")
    folder, is_new = push(address, model, "second")
    assert is_new
    assert folder.name == digest
    assert digests(workspace) == [digest]
    # The card that was there counts, on the machine that pushed now, and on the one that broke off.
    card = "first" if lost == MANIFEST else "second"
    assert (folder / CARD).read_text() == card
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "first"))
    assert (push(address, model, "third")[0] / CARD).read_text() == card


@only_bucket
def test_two_pushes_of_one_model_at_the_same_time_agree(address: str, model: Path, tmp_path: Path) -> None:
    start = threading.Barrier(2)

    class Elsewhere(Workspace):
        """On a machine of its own: threads of one process share a folder for temporary files."""

        def __init__(self, name: str) -> None:
            super().__init__(address)
            self.root = tmp_path / name

    def run(name: str) -> tuple[str, bool]:
        def describe(digest: str) -> dict[str, bytes]:
            start.wait()
            return {CARD: name.encode(), MANIFEST: f"model: {digest}".encode()}

        folder, is_new = publish(Elsewhere(name), model, ServingSpec(), Example(row={}), describe)
        return (folder / CARD).read_text(), is_new

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(run, ["a", "b"])
    assert first[0] == second[0]
    assert sorted([first[1], second[1]]) == [False, True]
    (digest,) = digests(Workspace(address))
    assert Workspace(address).store.read(f"models/{digest}/{CARD}") == first[0].encode()


@only_bucket
def test_a_model_that_was_changed_in_the_bucket_is_refused(
    address: str, model: Path, machine: Callable[[str], None]
) -> None:
    digest = push(address, model)[0].name
    name = f"models/{digest}/saved_model/variables/variables.index"
    Workspace(address).store.write(name, b"other weights")
    machine("second")
    with pytest.raises(ServingError, match="was changed"):
        bring(Workspace(address), digest)
    assert not (Workspace(address).models / digest).exists()
    with pytest.raises(ServingError, match="was changed"):
        push(address, model)


@only_bucket
def test_bytes_of_another_model_under_this_ones_name_are_refused(address: str, model: Path) -> None:
    folder, _ = push(address, model)
    store = Workspace(address).store
    store.delete(f"models/{folder.name}/{MANIFEST}")
    store.write(f"models/{folder.name}/model.json", json.dumps({"other": 1}).encode())
    with pytest.raises(StorageError, match=r"model\.json is there already, with other content"):
        push(address, model)
    assert digests(Workspace(address)) == []
