"""How a job on the cluster stands: what TrainJob and Indexed Job have in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from components.cluster.connection import Object
from components.cluster.work import Work


@dataclass(frozen=True)
class Verdict:
    """What the cluster says of a job; `message` tells why it ended."""

    is_suspended: bool = False
    is_complete: bool = False
    is_failed: bool = False
    message: str = ""


class Jobs(Protocol):
    """One kind of jobs; both run the same pods in a batch Job of the same name."""

    kind: str

    def create(self, work: Work) -> None:
        """Makes the job, or raises `Taken`."""

    def find(self, work: Work) -> Object | None:
        """The job as it is now, if it is there."""

    def delete(self, work: Work) -> None:
        """Deletes the job and its pods, which have their grace to save."""

    def expected(self, work: Work) -> dict[str, Any]:
        """What `create` would make."""

    def verdict(self, found: Mapping[str, Any]) -> Verdict:
        """How it stands."""
