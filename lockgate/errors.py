"""The one exception tree of Lockgate.

Every error says three things: what was given, what is allowed, and what to do next. The command line
prints them as three sentences; a pipeline step prints them as the last lines of its log.
"""


class LockgateError(Exception):
    """Base class of every error that a user can cause and mend.

    Args:
        given: what was found, with its value and where it stands; a sentence.
        allowed: what would have been accepted; a sentence, may be empty.
        next_step: the command or the edit that goes on from here; a sentence, may be empty.
    """

    exit_code = 1

    def __init__(self, given: str, allowed: str = "", next_step: str = "") -> None:
        super().__init__(given, allowed, next_step)
        self.given = given
        self.allowed = allowed
        self.next_step = next_step

    def __str__(self) -> str:
        return " ".join(part for part in (self.given, self.allowed, self.next_step) if part)


class ConfigError(LockgateError):
    """project.yaml, or a value in it, cannot be used."""

    exit_code = 2


class DataError(LockgateError):
    """The data cannot be read, or does not have the columns, types or rows that the project needs."""

    exit_code = 3


class GateClosed(LockgateError):
    """A gate is closed: an error-level check failed, and nothing after the gate may run."""

    exit_code = 4


class StorageError(LockgateError):
    """A folder or bucket cannot be read or written: no permission, no space, no such object."""

    exit_code = 5


class Busy(LockgateError):
    """Another run holds the workspace."""

    exit_code = 6


class TrainingError(LockgateError):
    """Training stopped: a failing model function, a worker lost for good, a loss that is not finite."""

    exit_code = 7


class ServingError(LockgateError):
    """A model server did not start, did not answer, or a model folder is not what its digest says."""

    exit_code = 8


class DeliveryError(LockgateError):
    """A pushed model's manifests could not be committed to the Git repository or applied to the cluster."""

    exit_code = 9


class ClusterError(LockgateError):
    """The Kubernetes or the Kubeflow Pipelines API does not answer, refuses, or lacks what is needed."""

    exit_code = 10
