"""How the workers of a training find each other: TF_CONFIG, and waiting for names that do not exist yet."""

import json
import socket
import time
from collections.abc import Callable, Mapping, Sequence

from lockgate.errors import TrainingError

INDEX = "JOB_COMPLETION_INDEX"
WORKERS = "LOCKGATE_WORKERS"
PEERS = "LOCKGATE_PEERS"
PLACE = "{}"
POLL = 0.5


def pod_config(environment: Mapping[str, str]) -> str | None:
    """TF_CONFIG of a pod: as it is given, or made of the number of workers and the pattern of their names.

    `LOCKGATE_PEERS` is an address with a port, with {} in place of the worker's index. None for one worker.
    """
    if given := environment.get("TF_CONFIG"):
        return given
    workers = int(environment.get(WORKERS, "1"))
    if workers == 1:
        return None
    addresses = [environment[PEERS].replace(PLACE, str(i)) for i in range(workers)]
    task = {"type": "worker", "index": int(environment[INDEX])}
    return json.dumps({"cluster": {"worker": addresses}, "task": task})


def addresses_of(config: str | None) -> tuple[str, ...]:
    """The workers' addresses, host:port, that a TF_CONFIG names."""
    return tuple(json.loads(config)["cluster"]["worker"]) if config else ()


def resolves(host: str) -> bool:
    """Whether a name has an address now."""
    try:
        socket.getaddrinfo(host, None)
    except socket.gaierror:
        return False
    return True


def wait_for_names(
    addresses: Sequence[str],
    seconds: float,
    *,
    is_known: Callable[[str], bool] = resolves,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Returns when every worker's name has an address.

    Raises:
        TrainingError: after so many seconds some worker's name has none; says which.
    """
    deadline = clock() + seconds
    missing = dict(enumerate(address.rpartition(":")[0] for address in addresses))
    while True:
        missing = {worker: host for worker, host in missing.items() if not is_known(host)}
        if not missing:
            return
        if clock() >= deadline:
            break
        pause(POLL)
    who = ", ".join(f"worker {worker} ({host})" for worker, host in missing.items())
    raise TrainingError(
        f"Within {seconds:g} seconds {who} did not appear: the name has no address.",
        "A worker's name has an address as soon as its pod runs on a node.",
        "Look at the pod's events: kubectl describe pod; or raise train.peer_timeout.",
    )
