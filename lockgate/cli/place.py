"""Where a command works: the project and its workspace."""

from dataclasses import dataclass
from pathlib import Path

from lockgate.cli.view import shown_path
from lockgate.config import read_project
from lockgate.errors import ConfigError
from lockgate.project import Project
from lockgate.run_folder import RunFolder
from lockgate.workspace import Workspace


@dataclass(frozen=True)
class Place:
    """A project, the folder that it was read from, and its workspace."""

    project: Project
    folder: Path
    workspace: Workspace

    @classmethod
    def find(cls, project: Path, workspace: str | Path | None) -> "Place":
        """Reads the project; the workspace is `.lockgate` beside it unless named.

        Raises:
            ConfigError: project.yaml is missing or wrong.
        """
        folder = project if project.is_dir() else project.parent
        return cls(read_project(project), folder.resolve(), Workspace(workspace or folder / ".lockgate"))

    def last_run(self, name: str | None = None) -> RunFolder:
        """The newest run, or the one of that name.

        Raises:
            ConfigError: there is no such run.
        """
        runs = {run.name: run for run in self.workspace.runs()}
        chosen = name or max(runs, default="")
        if chosen not in runs:
            known = ", ".join(sorted(runs)[-5:]) or "none"
            raise ConfigError(
                f"There is no run {chosen!r} in {self.workspace.root}." if chosen else "There is no run yet.",
                f"The last runs there: {known}.",
                f"Start one with `lockgate run {shown_path(self.folder)}`.",
            )
        return RunFolder(runs[chosen])
