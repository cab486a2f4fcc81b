"""What several tests share: copies of the examples, and the command line as a user calls it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


@pytest.fixture(scope="session")
def lockgate() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Calls the command line in a process of its own and returns what it said."""

    def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        program = Path(sys.executable).parent / "lockgate"
        environment = {**os.environ, "COLUMNS": "160"}
        return subprocess.run(
            [program, *map(str, arguments)],
            check=False,
            capture_output=True,
            text=True,
            env=environment,
            cwd=ROOT,
        )

    return call


@pytest.fixture(scope="session")
def example(tmp_path_factory) -> Callable[..., Path]:
    """Copies an example, with changes to its project.yaml given as {"a.b": value}."""

    def copy(name: str, **changes: object) -> Path:
        folder = tmp_path_factory.mktemp(name)
        for file in (ROOT / "examples" / name).iterdir():
            if file.is_file():
                shutil.copy(file, folder)
        change_project(folder, changes)
        return folder

    return copy


def change_project(folder: Path, changes: dict[str, object]) -> None:
    """Sets values in a project.yaml, by dotted keys."""
    file = folder / "project.yaml"
    content = yaml.safe_load(file.read_text())
    for key, value in changes.items():
        section = content
        *path, last = key.split(".")
        for part in path:
            section = section.setdefault(part, {})
        section[last] = value
    file.write_text(yaml.safe_dump(content, allow_unicode=True))
