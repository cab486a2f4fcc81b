"""KServe's own model server, on one address, with our limits and without a log line per request."""

import json
import socket
import struct
import sys
import warnings
from typing import Any

import orjson

# KServe's own endpoints answer by a class that FastAPI deprecates; nobody who reads the log can mend it.
warnings.filterwarnings("ignore", message="ORJSONResponse is deprecated")

# KServe reads the command line when it is imported; ours is read elsewhere, with other words.
_arguments, sys.argv = sys.argv, sys.argv[:1]
import kserve  # noqa: E402
import kserve.logging  # noqa: E402
from kserve.errors import InferenceError, InvalidInput  # noqa: E402
from kserve.model_server import app  # noqa: E402
from kserve.protocol.dataplane import DataPlane  # noqa: E402

sys.argv = _arguments

from lockgate.shipping.decode import RequestError  # noqa: E402
from serving.runtime.guard import protect  # noqa: E402

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {
        "err": {"class": "logging.StreamHandler", "formatter": "plain", "stream": "ext://sys.stderr"}
    },
    "loggers": {
        "lockgate": {"handlers": ["err"], "level": "INFO", "propagate": False},
        # KServe writes up to four lines per request at INFO; that costs a third of the throughput.
        "kserve": {"handlers": ["err"], "level": "WARNING", "propagate": False},
        "kserve.trace": {"handlers": ["err"], "level": "WARNING", "propagate": False},
        "uvicorn": {"handlers": ["err"], "level": "WARNING", "propagate": False},
    },
}


class StrictDataPlane(DataPlane):  # type: ignore[misc]
    """Reads requests like KServe's, but answers every unreadable one with status 400."""

    def decode(self, body: Any, headers: Any, *args: Any, **more: Any) -> Any:
        """The request, and what is needed to answer it in kind.

        Raises:
            RequestError: the body is neither JSON nor V2's binary form.
        """
        try:
            decoded, attributes = super().decode(body, headers, *args, **more)
            # Without a content type (curl's default is a form's) KServe hands the bytes through.
            return (orjson.loads(decoded) if isinstance(decoded, bytes) else decoded), attributes
        except (InvalidInput, orjson.JSONDecodeError) as error:
            return _lenient(body, str(error)), {}
        except (KeyError, TypeError, ValueError, AttributeError, struct.error, InferenceError) as error:
            raise RequestError("The request cannot be read:", f"{type(error).__name__}: {error}") from None


def _lenient(body: Any, reason: str) -> Any:
    """What Python's own reader makes of the body: it takes NaN and Infinity, whose column is named later.

    Raises:
        RequestError: it cannot read the body either.
    """
    try:
        return json.loads(body)
    except (TypeError, ValueError):
        raise RequestError("The request cannot be read:", reason) from None


class Server(kserve.ModelServer):  # type: ignore[misc]
    """Serves on a socket that is bound already; drains on SIGTERM.

    Args:
        bound: a bound TCP socket; the server listens on it once a model is ready.
        max_bytes: of the body of a request.
        grace_period: seconds that requests in flight have to finish after SIGTERM.
    """

    def __init__(self, bound: socket.socket, max_bytes: int, grace_period: int) -> None:
        kserve.logging.configure_logging(LOGGING)
        super().__init__(
            http_port=bound.getsockname()[1],
            enable_grpc=False,
            enable_docs_url=False,
            enable_latency_logging=False,
            grace_period=grace_period,
        )
        self.dataplane = StrictDataPlane(model_registry=self.registered_models)
        self._bound = bound
        protect(app, max_bytes)

    async def _serve(self) -> None:
        # KServe would listen on every address of the machine. Not by uvicorn's `fd`: it takes the socket
        # for a Unix one and leaves Nagle's algorithm on, which adds 40 ms to every answer.
        for unused in self.servers:
            unused.close()
        self._rest_server.create_application()
        await self._rest_server._server.serve(sockets=[self._bound])


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to the address; port 0 takes any free one.

    Raises:
        OSError: the port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound
