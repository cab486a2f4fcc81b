"""`python3 -m serving.controller --namespace N`: rolls models out where ModelRollouts ask for it."""

import argparse
import asyncio
import logging
import signal
import socket
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.cluster.apply import Objects
from components.cluster.connection import Api
from lockgate.errors import LockgateError
from serving.controller.cluster.lease import ClusterLease
from serving.controller.cluster.model import fail, ports_of
from serving.controller.dry import dry, left_out
from serving.controller.following import Following
from serving.controller.leader import Leader
from serving.controller.metrics import Metrics
from serving.controller.operator import lead, release, show, wait_for_kind, watch
from serving.controller.ports import Ports
from serving.controller.writes import Call

OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
# A look is made good by the next one, so it need not be patient.
LOOK_SECONDS = 10.0
log = logging.getLogger("lockgate.controller")


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    own = OWN_NAMESPACE.read_text().strip() if OWN_NAMESPACE.is_file() else None
    parser = argparse.ArgumentParser(
        prog="python3 -m serving.controller", description=__doc__, allow_abbrev=False
    )
    parser.add_argument(
        "--namespace",
        action="append",
        help="where models are rolled out; may be given several times (default: the pod's own)",
    )
    parser.add_argument("--lease-namespace", help="where the leader's lease is (default: the first one)")
    parser.add_argument("--dry-run", action="store_true", help="judge and report, and never act")
    parser.add_argument(
        "--interval", type=float, help="seconds between two looks (default: each ModelRollout's own)"
    )
    parser.add_argument(
        "--host",
        default="0.0.0.0" if own else "127.0.0.1",  # noqa: S104 - of a pod
        help="the address to listen on (default: all of a pod's, else %(default)s)",
    )
    parser.add_argument(
        "--metrics-port", type=int, default=8080, help="for /metrics and /healthz (default: %(default)s)"
    )
    parser.add_argument(
        "--lease-seconds",
        type=int,
        default=15,
        help="so long after the leader's end another takes over (default: %(default)s)",
    )
    given = parser.parse_args(words)
    given.namespace = given.namespace or ([own] if own else None)
    if not given.namespace:
        parser.error("--namespace is needed outside of a cluster")
    return given


async def run(given: argparse.Namespace) -> None:
    """Runs until SIGTERM or SIGINT.

    Raises:
        ClusterError: there is no cluster to talk to.
        OSError: the port is taken.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    objects = Objects.connect(seconds=LOOK_SECONDS, attempts=1)
    metrics = Metrics()
    # The lease is asked for again well before it ends.
    place = ClusterLease(
        Api.connect(seconds=given.lease_seconds / 3, attempts=1), given.lease_namespace or given.namespace[0]
    )
    identity = f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}"
    leader = Leader(place, identity, time.monotonic, seconds=given.lease_seconds)

    def acting(_: str, call: Call) -> Any:
        leader.check()
        return call()

    def ports(namespace: str, model: str) -> Ports:
        if given.dry_run:
            return dry(ports_of(objects, namespace, model, left_out), lambda: datetime.now(UTC))
        return ports_of(objects, namespace, model, acting)

    following = Following(
        ports,
        (lambda *_: None) if given.dry_run else fail,
        may_act=(lambda: True) if given.dry_run else lambda: leader.is_leading,
        metrics=metrics,
        is_dry=given.dry_run,
        interval=given.interval,
    )
    shown = await show(metrics, given.host, given.metrics_port)
    try:
        leading = None if given.dry_run else asyncio.create_task(lead(leader, stop))
        await wait_for_kind(objects, given.namespace, stop)
        await watch(following, given.namespace, stop)
        await following.stop()
        if leading is not None:
            await leading
            await release(leader)
    finally:
        await shown.cleanup()


def main() -> int:
    """The program."""
    given = arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    for noisy in ("kopf", "httpx", "aiohttp"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        asyncio.run(run(given))
    except LockgateError as error:
        log.error("%s", error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
