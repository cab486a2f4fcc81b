"""A repository on this machine that the tests and the controller both write to."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from tests.cluster.penguins import MODEL
from tests.cluster.rollout.controlled import GIT_CONFIG, USER

PLACE = f"manifests/models/{MODEL}/modelrollout.yaml"
ENVIRONMENT = {**os.environ, "GIT_CONFIG_GLOBAL": str(GIT_CONFIG)}


@dataclass
class Repository:
    """A bare repository on this machine, and a clone of it in which people work."""

    bare: Path
    work: Path

    @classmethod
    def made(cls, place: Path) -> Self:
        """An empty one in a folder."""
        new = cls(place / "bare.git", place / "work")
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", new.bare], check=True)
        clone = ["git", "clone", "-q", new.url, new.work]
        subprocess.run(clone, check=True, capture_output=True, env=ENVIRONMENT)
        return new

    @property
    def url(self) -> str:
        """Its address."""
        return f"file://{self.bare}"

    def git(self, *words: str) -> str:
        """What git prints in the clone."""
        command = ["git", "-C", self.work, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def commit(self, said: str, thing: dict[str, Any]) -> None:
        """Commits and pushes the ModelRollout's file."""
        file = self.work / PLACE
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(thing, sort_keys=False))
        self.git("add", "--all")
        self.git("commit", "-q", "-m", said)
        self.git("push", "-q", "origin", "HEAD:main")
        self.share()

    def share(self) -> None:
        """Lets the controller's user write to it."""
        if not os.geteuid():
            subprocess.run(["chown", "-R", f"{USER}:{USER}", self.bare], check=True)

    def log(self) -> list[str]:
        """The subjects of main's commits, the newest first."""
        self.git("fetch", "-q", "origin")
        return self.git("log", "--format=%s", "origin/main").splitlines()

    def thing(self) -> dict[str, Any]:
        """The ModelRollout as main has it."""
        self.git("fetch", "-q", "origin")
        self.git("reset", "-q", "--hard", "origin/main")
        return yaml.safe_load((self.work / PLACE).read_text())
