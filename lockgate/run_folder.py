"""The folder of one run: its log, its events, its report, and the artifacts of its steps."""

from pathlib import Path
from typing import Literal, get_args

Step = Literal[
    "collect", "validate", "transform", "tune", "train", "evaluate", "check_serving", "push"
]  # fmt: skip
STEPS: tuple[Step, ...] = get_args(Step)


class RunFolder:
    """Where things are in the folder of a run.

    The artifacts lie where KFP's local runner puts them: `<pipeline>-<time>/<step>/<artifact>`. A run that
    was resumed has several such attempts; the newest counts, into which reused results are linked.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def events(self) -> Path:
        """One JSON line an event."""
        return self.path / "events.jsonl"

    @property
    def log(self) -> Path:
        """Everything that the steps printed."""
        return self.path / "run.log"

    @property
    def report(self) -> Path:
        """The one HTML report."""
        return self.path / "report.html"

    @property
    def rollout(self) -> Path:
        """The record of the rollout that followed the run on this machine, where there was one."""
        return self.path / "rollout.json"

    def artifact(self, step: str, name: str) -> Path | None:
        """The file or folder of an artifact, or None where the step did not get so far."""
        attempts = [p for p in self.path.glob("*/") if p.is_dir()]
        if not attempts:
            return None
        newest = max(attempts, key=lambda p: (p.stat().st_mtime_ns, p.name))
        found = newest / step.replace("_", "-") / name
        return found if found.exists() else None
