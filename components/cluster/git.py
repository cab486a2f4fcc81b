"""Delivery to a Git repository: one commit, which Flux or Argo CD brings to the cluster."""

from collections.abc import Mapping
from pathlib import Path

from components.cluster.repository import Repository, folder_in, write
from lockgate.errors import DeliveryError
from lockgate.shipping import gitops, gitrollout
from lockgate.shipping.revision import Revision


class GitDelivery:
    """Writes `path/<model>` of a branch: the revision and its route, with all the traffic.

    Args:
        repository: its URL.
        branch: that must exist.
        path: folder of all models in the repository.
    """

    def __init__(self, repository: str, branch: str, path: str) -> None:
        self._repository, self._path = Repository(repository, branch), path

    def deliver(self, revision: Revision) -> str:
        """Commits the model's folder and pushes it without force; commits nothing where nothing changes.

        Raises:
            DeliveryError: no access, no such branch, a path out of the repository, or the server's refusal.
        """
        commit = self._repository.commit(lambda clone: self._written(clone, revision))
        place = self._repository.place
        return f"committed as {commit} to {place}" if commit else f"{place} has it already"

    def _written(self, clone: Path, revision: Revision) -> str:
        """Brings the model's folder to what it should be; the commit's message, "" where nothing changed."""
        folder = folder_in(clone, f"{self._path}/{revision.model}")
        if folder is None:
            raise DeliveryError(
                f"push.path is {self._path}, which leads out of the repository.",
                "A folder in the repository is allowed, such as manifests/models.",
                "Change push.path in project.yaml.",
            )
        folder.mkdir(parents=True, exist_ok=True)
        there = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file() and not p.is_symlink()}
        wanted, message = self._plan(revision, there)
        for name, content in wanted.items():
            write(folder, name, content)
        return message if wanted else ""

    def _plan(self, revision: Revision, there: Mapping[str, bytes]) -> tuple[Mapping[str, bytes | None], str]:
        """What to write into the folder, whose files are given, and the commit's message."""
        return gitops.changes(revision, there), gitops.message(revision)


class GitRolloutDelivery(GitDelivery):
    """Writes the model's ModelRollout there: the revision becomes its candidate."""

    def _plan(self, revision: Revision, there: Mapping[str, bytes]) -> tuple[Mapping[str, bytes | None], str]:
        return gitrollout.changes(revision, there), gitrollout.message(revision, there)
