"""Delivery to a Git repository: one commit, which Flux or Argo CD brings to the cluster."""

import os
import random
import re
import subprocess
import tempfile
import time
from pathlib import Path

from lockgate.errors import DeliveryError
from lockgate.shipping.gitops import changes, message
from lockgate.shipping.revision import Revision

ATTEMPTS = 8
SECONDS = 120
AUTHOR = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "lockgate"), ("EMAIL", "lockgate@users.noreply.lockgate.dev"))
}
# Ours was based on a commit that is no longer the branch's last: said by the client, or by the server
# that was taking another push at the same time.
OVERTAKEN = ("fetch first", "non-fast-forward", "stale info", "cannot lock ref", "failed to update ref")
NO_ACCESS = ("authentication failed", "could not read username", "could not read password")
NO_ACCESS += ("permission denied", "returned error: 401", "returned error: 403")


class GitDelivery:
    """Writes `path/<model>` of a branch, in a shallow clone that is thrown away.

    Credentials are those that `git` finds by itself: a helper, GIT_ASKPASS, an SSH key.

    Args:
        repository: its URL.
        branch: that must exist.
        path: folder of all models in the repository.
    """

    def __init__(self, repository: str, branch: str, path: str) -> None:
        self._repository, self._branch, self._path = repository, branch, path

    def deliver(self, revision: Revision) -> str:
        """Commits the model's folder and pushes it without force; commits nothing where nothing changes.

        When others push at the same time it starts again from what they pushed.

        Raises:
            DeliveryError: no access, no such branch, a path out of the repository, or the server's refusal.
        """
        for attempt in range(ATTEMPTS):
            time.sleep(random.uniform(0, 0.5 * attempt))  # noqa: S311 - not for secrets
            with tempfile.TemporaryDirectory(prefix="lockgate-git-") as folder:
                clone = Path(folder) / "clone"
                self._clone(clone)
                if not self._write(clone, revision):
                    return f"{self._place()} has it already"
                commit = self._commit(clone, revision)
                if self._push(clone):
                    return f"committed as {commit} to {self._place()}"
        raise DeliveryError(
            f"Others changed {self._place()} each of the {ATTEMPTS} times that a commit was to be pushed.",
            "A push is made on top of what is there, never over it.",
            "Run the push step again.",
        )

    def _place(self) -> str:
        return f"{self._branch} of {redacted(self._repository)}"

    def _clone(self, clone: Path) -> None:
        words = ("clone", "--quiet", "--depth=1", "--no-tags", "--single-branch", f"--branch={self._branch}")
        done = git(*words, "--", self._repository, str(clone))
        if done.returncode == 0:
            return
        said = _words(done)
        if f"branch {self._branch} not found" in said:
            raise DeliveryError(
                f"The repository {redacted(self._repository)} has no branch {self._branch}.",
                "The branch that push.branch names must exist.",
                f"Make it, with a first commit: git push origin HEAD:{self._branch}.",
            )
        raise self._refused("cannot be cloned", said)

    def _write(self, clone: Path, revision: Revision) -> bool:
        """Brings the model's folder to what it should be; returns whether that changed anything."""
        folder = (clone / self._path / revision.model).resolve()
        if not folder.is_relative_to(clone.resolve()):
            raise DeliveryError(
                f"push.path is {self._path}, which leads out of the repository.",
                "A folder in the repository is allowed, such as manifests/models.",
                "Change push.path in project.yaml.",
            )
        folder.mkdir(parents=True, exist_ok=True)
        there = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file() and not p.is_symlink()}
        wanted = changes(revision, there)
        for name, content in wanted.items():
            # Unlink first: to write through a link would change another file.
            (folder / name).unlink(missing_ok=True)
            if content is not None:
                (folder / name).write_bytes(content)
        return bool(wanted)

    def _commit(self, clone: Path, revision: Revision) -> str:
        for words in (
            ("add", "--all", "--", self._path),
            ("commit", "--quiet", "--no-verify", f"--message={message(revision)}"),
        ):
            done = git("-C", str(clone), *words)
            if done.returncode:
                raise self._refused(f"takes no commit (git {words[0]})", _words(done))
        return git("-C", str(clone), "rev-parse", "--short", "HEAD").stdout.strip()

    def _push(self, clone: Path) -> bool:
        """Whether the commit is on the branch now; no when others were faster."""
        target = f"HEAD:refs/heads/{self._branch}"
        done = git("-C", str(clone), "push", "--porcelain", "--no-verify", "origin", target)
        if done.returncode == 0:
            return True
        said = _words(done)
        if any(sign in said for sign in OVERTAKEN):
            return False
        raise self._refused("refuses the commit", said)

    def _refused(self, what: str, said: str) -> DeliveryError:
        given = f"The Git repository {redacted(self._repository)} {what}: {said}"
        if any(sign in said.lower() for sign in NO_ACCESS):
            return DeliveryError(
                given,
                "git takes credentials from a helper, GIT_ASKPASS or an SSH key, never from project.yaml.",
                f"Give the push step's service account access that may push to {self._branch}.",
            )
        return DeliveryError(
            given,
            f"The step must reach the repository and may push to {self._branch} without force.",
            "Check push.repository, the network policy and the branch's protection rules.",
        )


def git(*words: str) -> subprocess.CompletedProcess[str]:
    """Runs git without questions, in English; what it wrote is in the result.

    Raises:
        DeliveryError: git is not installed, or does not end.
    """
    environment = {**os.environ, **AUTHOR, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8", "LANGUAGE": "en"}
    try:
        return subprocess.run(
            ["git", *words],  # noqa: S607 - the image's own git
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            env=environment,
            timeout=SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise DeliveryError(
            "The program git is not installed.",
            "push.to: git needs it; Lockgate's pipeline image has it.",
            "Run the push step from that image, or install git.",
        ) from None
    except subprocess.TimeoutExpired:
        raise DeliveryError(
            f"git did not end within {SECONDS} s.",
            "The repository must answer.",
            "Check push.repository and the network policy of the push step.",
        ) from None


def redacted(text: str) -> str:
    """The text without what could be a secret in a URL: its user part and its query."""
    return re.sub(r"(\w://[^\s?]*)\?\S*", r"\1", re.sub(r"(\w://)[^/\s]+@", r"\1", text))


def _words(done: subprocess.CompletedProcess[str]) -> str:
    """What git said that helps: without progress, hints and empty lines, in one line."""
    lines = [line.strip() for line in (done.stdout + "\n" + done.stderr).splitlines()]
    useful = [
        x for x in lines if x and not x.startswith(("hint:", "Cloning into", "To ", "Done", "Everything"))
    ]
    # Before it is cut: what is left of a URL may not look like one.
    return redacted(" ".join(re.sub(r"\s+", " ", x).removeprefix("remote: ") for x in useful))[-1000:]
