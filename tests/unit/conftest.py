"""What the unit tests share."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Goes to a machine that knows nothing of the others: another folder for temporary files."""

    def go(name: str) -> None:
        folder = tmp_path / "machines" / name
        folder.mkdir(parents=True, exist_ok=True)
        monkeypatch.setattr(tempfile, "tempdir", str(folder))

    go("first")
    return go
