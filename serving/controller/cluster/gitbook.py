"""The book in a Git repository: promotion and rollback are commits, which Flux or Argo CD brings back."""

from pathlib import Path
from typing import Literal

from components.cluster.repository import Repository, Writer, folder_in, write
from lockgate.errors import DeliveryError
from lockgate.rollout.resource import Git
from lockgate.rollout.status import Status
from lockgate.shipping.settled import settled, settled_message
from serving.controller.ports import Rollout

CONTROLLER = Writer("the controller", "spec.git", "The controller tries again by itself.")


class GitBook:
    """Writes how a rollout ended into the ModelRollout's file of `spec.git`.

    The cluster is ahead of it: the route was written before. A commit is made on top of what others have
    pushed, never over it, and one that is there already is not made again.
    """

    def settle(self, kind: Literal["promote", "reject"], rollout: Rollout, status: Status) -> str:
        """Commits the end of the rollout of `status.candidate`; returns where, as a phrase.

        Raises:
            DeliveryError: the ModelRollout names no repository, or it cannot be written now.
        """
        git = rollout.spec.git
        if git is None:
            raise DeliveryError(
                f"ModelRollout {rollout.model} names no Git repository.",
                "spec.git says where its file lies.",
                "Give it a spec.git, or let the spec itself be the book.",
            )
        repository = Repository(git.repository, git.branch, CONTROLLER)
        commit = repository.commit(lambda clone: _written(clone, git, kind, rollout, status))
        return f"{git.path} on {repository.place}{f', commit {commit},' if commit else ''}"


def _written(
    clone: Path, git: Git, kind: Literal["promote", "reject"], rollout: Rollout, status: Status
) -> str:
    path = Path(git.path)
    folder = folder_in(clone, str(path.parent))
    file = None if folder is None else folder / path.name
    if folder is None or file is None or file.is_symlink() or not file.is_file():
        raise DeliveryError(
            f"The repository has no file {git.path}.",
            f"spec.git.path must be the file of ModelRollout {rollout.model}.",
            "Correct spec.git, or bring the file back: the controller tries again by itself.",
        )
    text = settled(file.read_bytes(), kind, rollout.model, status.candidate, rollout.spec)
    if text is None:
        return ""
    write(folder, path.name, text)
    return settled_message(kind, rollout.model, status)
