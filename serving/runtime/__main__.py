"""`python -m serving.runtime --model FOLDER --name NAME --port N`: serves one model folder over V1 and V2."""

import argparse
import logging
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lockgate.errors import LockgateError
from lockgate.process import collect_rarely
from serving.runtime.address import bind
from serving.runtime.identity import identify

log = logging.getLogger("lockgate.serving")


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m serving.runtime", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--model", type=Path, required=True, help="the model folder")
    parser.add_argument("--name", required=True, help="the model's name in the URL")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="0 takes any free one (default: %(default)s)")
    parser.add_argument("--fd", type=int, help="a socket that is bound already, instead of host and port")
    parser.add_argument(
        "--max-rows", type=int, default=32_768, help="rows per request (default: %(default)s)"
    )
    parser.add_argument(
        "--max-bytes", type=int, default=8 << 20, help="bytes per request (default: %(default)s)"
    )
    parser.add_argument(
        "--max-waiting",
        type=int,
        default=1024,
        help="requests that may wait; more get 503 (default: %(default)s)",
    )
    parser.add_argument(
        "--grpc-port", type=int, help="V2 over gRPC, too; 0 takes any free port (default: off)"
    )
    parser.add_argument(
        "--digest",
        default=os.environ.get("LOCKGATE_DIGEST"),
        help="refuse a folder of another digest (default: LOCKGATE_DIGEST)",
    )
    parser.add_argument(
        "--drain", type=float, default=10, help="seconds to answer on after SIGTERM (default: %(default)g)"
    )
    parser.add_argument(
        "--grace", type=int, default=30, help="seconds then to finish what was begun (default: %(default)s)"
    )
    parser.add_argument(
        "--threads", type=int, default=1, help="of TensorFlow in one operation (default: %(default)s)"
    )
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """Loads the model, then serves until SIGTERM or SIGINT; returns the exit code."""
    collect_rarely()
    # The first process of a container ignores SIGTERM unless it asks for it; nothing is in flight yet.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    given = arguments(words)
    started = time.monotonic()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        serve(given, started)
    except LockgateError as error:
        print("\n".join(part for part in error.args if part), file=sys.stderr)
        return error.exit_code
    return 0


def serve(given: argparse.Namespace, started: float) -> None:
    """Serves until told to stop.

    Raises:
        ServingError: the folder is no model, was changed or does not answer, or the port cannot be had.
    """
    digest = identify(given.model, given.digest)  # before the seconds that importing TensorFlow takes

    bound = bind(given.host, given.port) if given.fd is None else socket.socket(fileno=given.fd)
    grpc = None if given.grpc_port is None else (given.host, given.grpc_port)
    with quiet():
        from serving.runtime.scorer import Scorer, use_threads
        from serving.runtime.server import Limits, Server, configure_logging

        use_threads(given.threads)
        scorer = Scorer(given.model)
        limits = Limits(given.max_rows, given.max_bytes, given.max_waiting, given.drain, given.grace)
        server = Server(given.name, digest, scorer, bound, grpc, limits)
    configure_logging()
    host, port = bound.getsockname()[:2]
    seconds = time.monotonic() - started
    log.info("serving %s %s at http://%s:%d after %.1f s", given.name, digest[:12], host, port, seconds)
    if server.run():
        log.info("stopped; every request in flight was answered")
    else:
        log.warning("stopped; requests that were still in flight after %d s were cut off", given.grace)


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps back what TensorFlow's C++ says of absent GPUs on loading; says it after all on failure.

    TF_CPP_MIN_LOG_LEVEL does not reach it: it is said before TensorFlow's own logging begins.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as said:
        ours = os.dup(2)
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            said.seek(0)
            os.write(ours, said.read())
            raise
        finally:
            os.dup2(ours, 2)
            os.close(ours)


if __name__ == "__main__":
    sys.exit(main())
