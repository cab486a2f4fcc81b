"""KServe's own model server, on one address, behind our front, without a log line per request."""

import asyncio
import logging
import secrets
import socket
import struct
import sys
import warnings
from dataclasses import dataclass
from typing import Any

import orjson
import uvloop

# KServe's own endpoints answer by a class that FastAPI deprecates; nobody who reads the log can mend it.
warnings.filterwarnings("ignore", message="ORJSONResponse is deprecated")

# KServe reads the command line when it is imported; ours is read elsewhere, with other words.
_arguments, sys.argv = sys.argv, sys.argv[:1]
import kserve  # noqa: E402
import kserve.logging  # noqa: E402
from kserve.errors import InferenceError, InvalidInput  # noqa: E402
from kserve.model_server import app  # noqa: E402
from kserve.protocol.dataplane import DataPlane  # noqa: E402
from kserve.protocol.rest.server import RESTServer  # noqa: E402

sys.argv = _arguments

from prometheus_client import REGISTRY  # noqa: E402

from lockgate.shipping.decode import RequestError  # noqa: E402
from serving.runtime import rpc  # noqa: E402
from serving.runtime.batcher import Batcher, sizes  # noqa: E402
from serving.runtime.draining import DrainingServer  # noqa: E402
from serving.runtime.front import Front  # noqa: E402
from serving.runtime.guard import protect  # noqa: E402
from serving.runtime.health import Health  # noqa: E402
from serving.runtime.metrics import Metrics, score_bounds  # noqa: E402
from serving.runtime.model import TabularModel  # noqa: E402
from serving.runtime.protocols import lenient  # noqa: E402
from serving.runtime.room import Room  # noqa: E402
from serving.runtime.sample import Sample  # noqa: E402
from serving.runtime.scorer import Scorer  # noqa: E402

log = logging.getLogger("lockgate.serving")

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {
        "err": {"class": "logging.StreamHandler", "formatter": "plain", "stream": "ext://sys.stderr"}
    },
    "loggers": {
        "lockgate": {"handlers": ["err"], "level": "INFO", "propagate": False},
        # KServe writes up to four lines per request at INFO; that costs a third of the throughput. Its lines
        # on errors hold the errors' words, which may quote a request; ours (`replies.refusal`) do not.
        "kserve": {"handlers": ["err"], "level": "CRITICAL", "propagate": False},
        "kserve.trace": {"handlers": ["err"], "level": "CRITICAL", "propagate": False},
        "uvicorn": {"handlers": ["err"], "level": "WARNING", "propagate": False},
    },
}


def configure_logging() -> None:
    """Sends warnings, and our own lines, to standard error."""
    kserve.logging.configure_logging(LOGGING)


class StrictDataPlane(DataPlane):  # type: ignore[misc]
    """Like KServe's, but answers every unreadable request with status 400, and is ready only when we are."""

    def __init__(self, model_registry: Any, health: Health) -> None:
        super().__init__(model_registry)
        self._health = health

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
            return lenient(body, str(error)), {}
        except (KeyError, TypeError, ValueError, AttributeError, struct.error, InferenceError) as error:
            raise RequestError("The request cannot be read:", f"{type(error).__name__}: {error}") from None

    async def ready(self) -> bool:
        """Whether a prediction works, and the server was not told to stop."""
        return not self._health.why_not()


@dataclass(frozen=True)
class Limits:
    """What one server takes: rows and bytes of a request, requests that wait; seconds of its end.

    `drain` seconds it answers on after SIGTERM, `grace` seconds it then has to finish what it has begun.
    """

    rows: int
    bytes: int
    waiting: int
    drain: float
    grace: int


class Server(kserve.ModelServer):  # type: ignore[misc]
    """Serves one model on a socket that is bound already; drains on SIGTERM.

    Args:
        name: the model's name in the URL.
        digest: of the model folder's content.
        scorer: the model.
        bound: a bound TCP socket; the server listens on it once it runs.
        grpc: host and port of V2 over gRPC; None: off.
        limits: of requests, and of the server's end.
    """

    def __init__(
        self,
        name: str,
        digest: str,
        scorer: Scorer,
        bound: socket.socket,
        grpc: tuple[str, int] | None,
        limits: Limits,
    ) -> None:
        super().__init__(
            http_port=bound.getsockname()[1],
            enable_grpc=False,
            enable_docs_url=False,
            enable_latency_logging=False,
            grace_period=limits.grace,
        )
        self._bound = bound
        self._grpc = grpc
        self._limits = limits
        self._health = Health(scorer)
        self.dataplane = StrictDataPlane(self.registered_models, self._health)
        metrics = Metrics(scorer.spec, name, digest, score_bounds(scorer.spec, scorer.folder))
        metrics.ready = lambda: not self._health.why_not()
        REGISTRY.register(metrics)
        batcher = Batcher(scorer, metrics, limits.waiting)
        scorer.warm_up(sizes())
        room = Room(limits.bytes, metrics)
        self.register_model(TabularModel(name, scorer, batcher, limits.rows))
        self._front = Front(
            app,
            name,
            scorer,
            batcher,
            metrics,
            Sample(digest),
            self._health,
            room,
            limits.rows,
            limits.bytes,
        )
        self._servicer = rpc.Servicer(
            self.dataplane,
            self.model_repository_extension,
            name,
            digest,
            scorer,
            batcher,
            metrics,
            limits.rows,
            lambda: secrets.token_hex(8),
            room,
        )

    def run(self) -> bool:
        """Serves until SIGTERM or SIGINT, on uvloop: KServe's own start would take asyncio's slower loop.

        Returns:
            Whether every request that was begun got its answer.
        """
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(self._serve())

    async def _serve(self) -> bool:
        rest = RESTServer(
            self._front,
            self.dataplane,
            self.model_repository_extension,
            self.http_port,
            grace_period=self._limits.grace,
        )
        rest.config.server_header = False
        rest.create_application()
        protect(app, self._limits.bytes)
        rpcs = None
        if self._grpc is not None:
            rpcs, port = await rpc.listen(self._servicer, *self._grpc, self._limits.bytes)
            log.info("gRPC listens on %s:%d", self._grpc[0], port)

        async def finish() -> bool:
            return rpcs is None or await rpc.end(rpcs, self._limits.grace)

        # Not by uvicorn's `fd`: it takes the socket for a Unix one and leaves Nagle's algorithm on, which
        # adds 40 ms to every answer.
        server = DrainingServer(rest.config, self._health, self._limits.drain, finish)
        await server.serve(sockets=[self._bound])
        return server.answered
