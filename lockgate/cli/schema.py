"""`lockgate schema accept`."""

import difflib
from pathlib import Path

from lockgate.cli.place import Place
from lockgate.cli.view import shown_path
from lockgate.errors import DataError
from lockgate.storage import write_atomically


def accept_schema(project: Path, workspace: str | None) -> None:
    """Writes the schema that fits the last run's data beside project.yaml and prints what changed.

    Raises:
        DataError: no run has come as far as the data gate.
    """
    from lockgate.data.profile import Profile
    from lockgate.data.schema import accepted
    from lockgate.data.tfdv import Tfdv

    place = Place.find(project, workspace)
    folder = place.last_run().artifact("validate", "statistics")
    if folder is None:
        raise DataError(
            "The last run did not come as far as the data gate.",
            "A schema is accepted from statistics.",
            f"Run `lockgate validate {project}` first.",
        )
    target = place.folder / place.project.validation.schema_file
    before = target.read_text(encoding="utf-8") if target.exists() else ""
    after = accepted(Profile.load(folder / "profile.json"), before, Tfdv())
    if after == before:
        print(f"{shown_path(target)} fits already; nothing changed.")
        return
    write_atomically(target, after.encode())
    changes = difflib.unified_diff(
        before.splitlines(), after.splitlines(), "before", "after", lineterm="", n=1
    )
    print("\n".join(changes))
    print(f"\nWrote {shown_path(target)}. Review the change and commit it.")
