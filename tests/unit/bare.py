"""A bare repository on this disk, for the tests of commits."""

import os
import subprocess
from pathlib import Path

import pytest


def git(*words, **more) -> str:
    done = subprocess.run(["git", *map(str, words)], check=True, capture_output=True, text=True, **more)
    return done.stdout


def own_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's git configuration: no signing, no credentials, no hooks."""
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "A Person")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "person@example.org")


def made(folder: Path) -> Path:
    """A bare repository with one commit on main, made by the clone `first` beside it."""
    repository, work = folder / "bare.git", folder / "first"
    git("init", "--bare", "--initial-branch=main", repository)
    git("clone", repository, work)
    (work / "README.md").write_text("ours")
    git("-C", work, "add", ".")
    git("-C", work, "commit", "-m", "first")
    git("-C", work, "push", "origin", "HEAD:main")
    return repository


def hook(repository: Path, name: str, script: str) -> None:
    path = repository / "hooks" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def file(repository: Path, name: str) -> str:
    return git("-C", repository, "show", f"main:{name}")


def files(repository: Path, folder: str = "manifests/models/flights") -> set[str]:
    return set(git("-C", repository, "ls-tree", "--name-only", f"main:{folder}").split())


def commits(repository: Path) -> int:
    return int(git("-C", repository, "rev-list", "--count", "main"))


def last_message(repository: Path) -> str:
    return git("-C", repository, "log", "-1", "--format=%B", "main")
