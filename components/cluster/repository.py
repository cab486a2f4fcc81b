"""Commits to a Git repository: made in a clone that is thrown away, and pushed without force."""

import os
import random
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lockgate.errors import DeliveryError

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


@dataclass(frozen=True)
class Writer:
    """Who commits, for errors: a phrase, where it was told the repository, and what to do when it failed."""

    who: str
    told: str
    again: str


PUSH_STEP = Writer("the push step", "push", "Run the push step again.")


class Repository:
    """One branch of a repository.

    Credentials are those that `git` finds by itself: a helper, GIT_ASKPASS, an SSH key.

    Args:
        url: of the repository.
        branch: that must exist.
        writer: who commits.
    """

    def __init__(self, url: str, branch: str, writer: Writer = PUSH_STEP) -> None:
        self._url, self._branch, self._writer = url, branch, writer

    @property
    def place(self) -> str:
        """The branch and the repository, without secrets."""
        return f"{self._branch} of {redacted(self._url)}"

    def commit(self, change: Callable[[Path], str]) -> str:
        """Commits what `change` does to a clone, without force; returns the commit, "" where nothing changed.

        When others push at the same time it starts again from what they pushed.

        Args:
            change: edits the clone that it is given and returns the commit's message; "" to leave it.

        Raises:
            DeliveryError: no access, no such branch, or the server's refusal.
        """
        for attempt in range(ATTEMPTS):
            time.sleep(random.uniform(0, 0.5 * attempt))  # noqa: S311 - not for secrets
            with tempfile.TemporaryDirectory(prefix="lockgate-git-") as folder:
                clone = Path(folder) / "clone"
                self._clone(clone)
                message = change(clone)
                if not message:
                    return ""
                commit = self._commit(clone, message)
                if self._push(clone):
                    return commit
        raise DeliveryError(
            f"Others changed {self.place} each of the {ATTEMPTS} times that a commit was to be pushed.",
            "A push is made on top of what is there, never over it.",
            self._writer.again,
        )

    def _clone(self, clone: Path) -> None:
        words = ("clone", "--quiet", "--depth=1", "--no-tags", "--single-branch", f"--branch={self._branch}")
        done = git(*words, "--", self._url, str(clone))
        if done.returncode == 0:
            return
        said = _words(done)
        if f"branch {self._branch} not found" in said:
            raise DeliveryError(
                f"The repository {redacted(self._url)} has no branch {self._branch}.",
                f"The branch that {self._writer.told}.branch names must exist.",
                f"Make it, with a first commit: git push origin HEAD:{self._branch}.",
            )
        raise self._refused("cannot be cloned", said)

    def _commit(self, clone: Path, message: str) -> str:
        for words in (
            ("add", "--all"),
            ("commit", "--quiet", "--no-verify", f"--message={message}"),
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
        given = f"The Git repository {redacted(self._url)} {what}: {said}"
        if any(sign in said.lower() for sign in NO_ACCESS):
            return DeliveryError(
                given,
                "git takes credentials from a helper, GIT_ASKPASS or an SSH key, never from project.yaml.",
                f"Give {self._writer.who}'s service account access that may push to {self._branch}.",
            )
        return DeliveryError(
            given,
            f"{_capital(self._writer.who)} must reach the repository and may push to {self._branch} without "
            "force.",
            f"Check {self._writer.told}.repository, the network policy and the branch's protection rules.",
        )


def folder_in(clone: Path, path: str) -> Path | None:
    """A folder of a clone; None where the path, or a link on it, leads out of the repository."""
    folder = (clone / path).resolve()
    is_inside = folder.is_relative_to(clone.resolve())
    return folder if is_inside else None


def write(folder: Path, name: str, content: bytes | None) -> None:
    """Writes or removes a file of a clone; what it links to stays as it is."""
    (folder / name).unlink(missing_ok=True)
    if content is not None:
        (folder / name).write_bytes(content)


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
            "Commits need it; Lockgate's images have it.",
            "Run this from such an image, or install git.",
        ) from None
    except subprocess.TimeoutExpired:
        raise DeliveryError(
            f"git did not end within {SECONDS} s.",
            "The repository must answer.",
            "Check its URL and the network policy.",
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


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
