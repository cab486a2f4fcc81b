"""`python -m serving.runtime --model FOLDER --name NAME --port N`: serves one model folder over V1 and V2."""

import argparse
import logging
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lockgate.errors import LockgateError, ServingError
from lockgate.process import collect_rarely
from lockgate.shipping.folder import check_digest

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
        "--max-bytes", type=int, default=64 << 20, help="bytes per request (default: %(default)s)"
    )
    parser.add_argument("--grace", type=int, default=30, help="seconds to finish requests after SIGTERM")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """Loads the model, then serves until SIGTERM or SIGINT; returns the exit code."""
    collect_rarely()
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
    check_digest(given.model)  # before the seconds that importing TensorFlow takes

    from serving.runtime.server import Server

    bound = _bound(given)
    server = Server(bound, given.max_bytes, given.grace)

    with quiet():
        from serving.runtime.model import TabularModel
        from serving.runtime.scorer import Scorer

        model = TabularModel(given.name, Scorer(given.model), given.max_rows)
    host, port = bound.getsockname()[:2]
    seconds = time.monotonic() - started
    log.info("serving %s at http://%s:%d after %.1f s", given.model.name[:12], host, port, seconds)
    server.start([model])
    log.info("stopped; every request in flight was answered")


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


def _bound(given: argparse.Namespace) -> socket.socket:
    from serving.runtime.server import bind

    if given.fd is not None:
        return socket.socket(fileno=given.fd)
    try:
        return bind(given.host, given.port)
    except OSError as error:
        raise ServingError(
            f"Nothing can listen on {given.host}:{given.port}: {error.strerror}.",
            "A free port and an address of this machine are needed.",
            "Choose another port with --port; 0 takes any free one.",
        ) from None


if __name__ == "__main__":
    sys.exit(main())
