"""What the data gate learnt of the snapshots that passed it, in their order."""

import json
from pathlib import Path

from lockgate.data.profile import Profile
from lockgate.storage import write_atomically
from lockgate.workspace import Workspace

INDEX = "passed.json"
PROFILE = "profile.json"


def passed(workspace: Workspace) -> list[str]:
    """The contents of the snapshots that passed the gate, the last one last."""
    index = workspace.statistics / INDEX
    return [str(content) for content in json.loads(index.read_text())] if index.exists() else []


def previous(workspace: Workspace, content: str) -> Profile | None:
    """The profile of the last snapshot that passed and has another content; None before the first."""
    for earlier in reversed(passed(workspace)):
        if earlier != content and (path := _path(workspace, earlier)).exists():
            return Profile.load(path)
    return None


def remember(workspace: Workspace, profile: Profile) -> None:
    """Keeps the profile of a snapshot that passed.

    Raises:
        StorageError: the disk is full, or the workspace cannot be written.
    """
    profile.save(_path(workspace, profile.snapshot))
    order = [content for content in passed(workspace) if content != profile.snapshot]
    write_atomically(workspace.statistics / INDEX, json.dumps([*order, profile.snapshot], indent=1).encode())


def _path(workspace: Workspace, content: str) -> Path:
    return workspace.statistics / content / PROFILE
