"""What the data gate learnt of the snapshots that passed it, in their order."""

import json

from lockgate.data.profile import Profile
from lockgate.workspace import Workspace

INDEX = "passed.json"
PROFILE = "profile.json"


def passed(workspace: Workspace) -> list[str]:
    """The contents of the snapshots that passed the gate, the last one last."""
    return _order(workspace.store.read(f"statistics/{INDEX}"))


def previous(workspace: Workspace, content: str) -> Profile | None:
    """The profile of the last snapshot that passed and has another content; None before the first."""
    for earlier in reversed(passed(workspace)):
        if earlier != content and (text := workspace.store.read(_name(earlier))) is not None:
            return Profile.model_validate_json(text)
    return None


def remember(workspace: Workspace, profile: Profile) -> None:
    """Keeps the profile of a snapshot that passed; of runs that end at the same time, each is remembered.

    Raises:
        StorageError: the disk is full, or the workspace cannot be written.
    """
    workspace.store.write(_name(profile.snapshot), profile.text().encode())

    def appended(before: bytes | None) -> bytes:
        order = [content for content in _order(before) if content != profile.snapshot]
        return json.dumps([*order, profile.snapshot], indent=1).encode()

    workspace.store.replace(f"statistics/{INDEX}", appended)


def _order(index: bytes | None) -> list[str]:
    return [] if index is None else [str(content) for content in json.loads(index)]


def _name(content: str) -> str:
    return f"statistics/{content}/{PROFILE}"
