"""What a worker's exit means, and what the launcher does about it: pure functions."""

from collections.abc import Mapping, Sequence
from enum import Enum, IntEnum


class Exit(IntEnum):
    """Exit codes of a worker process."""

    DONE = 0
    SAVED = 42
    USER_ERROR = 64
    PEER_LOST = 75
    OUT_OF_MEMORY = 137


class Action(Enum):
    """What to do once a worker has ended."""

    WAIT = "wait"
    FINISH = "finish"
    SAVED = "saved"
    FAIL = "fail"
    RESTART = "restart"
    OUT_OF_MEMORY = "out of memory"


def decide(codes: Sequence[int | None], *, has_user_error: bool, was_out_of_memory: bool) -> Action:
    """What to do, by the workers' exit codes so far (None: still running; negative: ended by that signal).

    The user's own error counts before everything else: a worker that fails by it looks to the others like
    a lost peer. A worker that the kernel killed for memory would be killed again, so it is not restarted.
    Anything else that is neither a clean end nor a save is a lost worker: all are started again.
    """
    ended = [code for code in codes if code is not None]
    if has_user_error or Exit.USER_ERROR in ended:
        return Action.FAIL
    if Exit.OUT_OF_MEMORY in ended or (was_out_of_memory and -9 in ended):
        return Action.OUT_OF_MEMORY
    if any(code not in (Exit.DONE, Exit.SAVED) for code in ended):
        return Action.RESTART
    if len(ended) < len(codes):
        return Action.WAIT
    if all(code == Exit.DONE for code in ended):
        return Action.FINISH
    # Some saved and some had just finished: resuming ends at the same step.
    return Action.SAVED


def peers(ports: Sequence[int], worker: int) -> Mapping[str, object]:
    """TF_CONFIG of one of several workers on this machine."""
    return {
        "cluster": {"worker": [f"127.0.0.1:{port}" for port in ports]},
        "task": {"type": "worker", "index": worker},
    }
