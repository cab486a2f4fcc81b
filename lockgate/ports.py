"""What a step needs of the world outside: small ports, each with a version for laptops and one for clusters.

The laptop's versions are the defaults and live in this package; those that know Kubernetes or Git live in
`components.cluster`, and a component's wrapper hands them to its step.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from lockgate.shipping.revision import Revision
    from lockgate.training.job import Job
    from lockgate.training.state import LoopState


class Workers(Protocol):
    """Runs all workers of a training."""

    def run(self, job: "Job", progress: Callable[["LoopState"], None]) -> int:
        """Returns, when every worker is done, how often lost workers were started again.

        Raises:
            KeyboardInterrupt: it was asked to stop, and the workers have saved.
            TrainingError: the user's own error with its traceback, no memory, or workers lost for good.
        """


class Delivery(Protocol):
    """Brings a pushed model's manifests to where they take effect."""

    def deliver(self, revision: "Revision") -> str:
        """Returns a sentence on what was done; the same revision a second time changes nothing.

        Raises:
            DeliveryError: the repository or the cluster refused it.
        """


@dataclass(frozen=True)
class Ports:
    """The ports of a step; None is the laptop's version."""

    workers: Workers | None = None
    delivery: Delivery | None = None
