"""V2 over gRPC: KServe's own service, on an address of our choice, with the refusals of HTTP."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from grpc import StatusCode, aio
from kserve import InferRequest
from kserve.errors import InferenceError, InvalidInput, ModelNotFound
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from kserve.protocol.grpc.servicer import InferenceServicer
from kserve.protocol.model_repository_extension import ModelRepositoryExtension

from lockgate.errors import ServingError
from lockgate.shipping.decode import RequestError
from lockgate.shipping.packing import Packed
from serving.runtime.batcher import Batcher, Slice
from serving.runtime.front import ID
from serving.runtime.metrics import Metrics
from serving.runtime.replies import REVISION, refusal, revision_digits
from serving.runtime.requests import datatype, from_v2, inputs_of
from serving.runtime.room import LARGE_BYTES, Held, Room
from serving.runtime.sample import First
from serving.runtime.scorer import Scorer

CODES = {400: StatusCode.INVALID_ARGUMENT, 404: StatusCode.NOT_FOUND, 503: StatusCode.UNAVAILABLE}
FIELDS = {"FP32": "fp32_contents", "BOOL": "bool_contents", "BYTES": "bytes_contents"}
# Requests that are read at once; more wait in their connections, where they hold no memory of ours. With
# messages of the largest size, as many must still fit into a pod.
AT_ONCE = 64
# A clock that wakes a little early must not make an end at the deadline look like one before it.
EARLY_SECONDS = 0.05
REPOSITORY = "The model repository is closed: a server serves the one model that it was started with."


class Servicer(InferenceServicer):  # type: ignore[misc]
    """KServe's service with our model, our refusals and no way to unload the model.

    Args:
        dataplane: KServe's, which knows whether the server is ready.
        repository: KServe's.
        name: the model's.
        digest: of the model folder's content.
        scorer: the model.
        batcher: on it.
        metrics: is told of every prediction request.
        max_rows: of a request.
        new_id: makes an id for a request that brings none.
        room: for bodies, HTTP's included.
    """

    def __init__(
        self,
        dataplane: DataPlane,
        repository: ModelRepositoryExtension,
        name: str,
        digest: str,
        scorer: Scorer,
        batcher: Batcher,
        metrics: Metrics,
        max_rows: int,
        new_id: Callable[[], str],
        room: Room,
    ) -> None:
        super().__init__(dataplane, repository)
        self._name = name
        self._revision = ((REVISION, revision_digits(digest)),)
        self._scorer = scorer
        self._batcher = batcher
        self._metrics = metrics
        self._max_rows = max_rows
        self._new_id = new_id
        self._room = room

    async def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802 - the service's name for it
        """Predicts; a request that is not allowed ends with INVALID_ARGUMENT and the column's name."""
        started = time.perf_counter()
        given = dict(context.invocation_metadata() or ()).get("x-request-id", "")
        named = given if isinstance(given, str) and ID.fullmatch(given.encode()) else self._new_id()
        context.set_trailing_metadata((("x-request-id", named),))
        await context.send_initial_metadata(self._revision)
        answer, first, status, sentence = None, None, StatusCode.OK, ""
        held = Held(self._room)
        try:
            held.add(request.ByteSize())
            answer, first = await self._answer(request, named, is_large=held.bytes > LARGE_BYTES)
        except Exception as error:
            status, sentence = self._refused(error, named)
        finally:
            held.release()
        self._metrics.answered("grpc", status.name, time.perf_counter() - started, first)
        if answer is None:
            await context.abort(status, sentence)
        return answer

    async def _answer(self, request: Any, named: str, *, is_large: bool) -> tuple[Any, First]:
        if request.model_name != self._name:
            raise ModelNotFound(request.model_name)
        self._batcher.admit()
        if not is_large:
            scored = await self._batcher.score(self._packed(request))
            return self._written(request, named, scored), scored.first()

        def score() -> Slice:
            packed = self._packed(request)
            return Slice(self._scorer.answer(self._scorer.scores(packed)), 0, packed.rows)

        scored = await self._batcher.aside(score)
        return await asyncio.to_thread(self._written, request, named, scored), scored.first()

    def _packed(self, request: Any) -> Packed:
        self.validate_grpc_request(request)
        is_raw = len(request.raw_input_contents) > 0
        given = list(inputs_of(InferRequest.from_grpc(request), is_raw=is_raw))
        if not given:
            raise RequestError("The request has no inputs.", "There is one for each column of the model.")
        return from_v2(given, self._scorer.packing, self._max_rows, is_binary=True)

    def _written(self, request: Any, named: str, scored: Slice) -> Any:
        answer = pb.ModelInferResponse(model_name=self._name, id=request.id or named)
        write(answer, _chosen(request, scored.columns()), is_raw=len(request.raw_input_contents) > 0)
        return answer

    def _refused(self, error: Exception, named: str) -> tuple[StatusCode, str]:
        if isinstance(error, ModelNotFound):
            return (
                StatusCode.NOT_FOUND,
                f"There is no such model here; the one that is served is {self._name}.",
            )
        if isinstance(error, (InvalidInput, InferenceError)):  # KServe's own, before our decoding
            return StatusCode.INVALID_ARGUMENT, error.reason
        code, sentence, _ = refusal(error, named)
        return CODES.get(code, StatusCode.INTERNAL), sentence

    async def ModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The model's columns and answers."""
        if request.name != self._name:
            await context.abort(StatusCode.NOT_FOUND, f"The one model that is served is {self._name}.")
        return await super().ModelMetadata(request, context)

    async def ModelReady(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        """Whether a prediction works, and the server was not told to stop."""
        ready = request.name == self._name and await self._data_plane.ready()
        return pb.ModelReadyResponse(ready=ready)

    async def RepositoryModelLoad(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        """Refused."""
        await context.abort(StatusCode.PERMISSION_DENIED, REPOSITORY)

    async def RepositoryModelUnload(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        """Refused."""
        await context.abort(StatusCode.PERMISSION_DENIED, REPOSITORY)


def _chosen(request: Any, columns: dict[str, Any]) -> dict[str, Any]:
    """The answers that the request names, or all."""
    names = [output.name for output in request.outputs] or list(columns)
    if unknown := [name for name in names if name not in columns]:
        raise RequestError(
            f"There is no output {unknown[0][:80]!r}.", f"The outputs are {', '.join(columns)}."
        )
    return {name: columns[name] for name in names}


def write(answer: Any, columns: dict[str, Any], *, is_raw: bool) -> None:
    """Puts answers into a ModelInferResponse, in the form in which the request's tensors came."""
    for name, values in columns.items():
        kind = datatype(values)
        output = answer.outputs.add(name=name, datatype=kind, shape=values.shape)
        flat = [value.encode() for value in values] if kind == "BYTES" else values.ravel()
        if not is_raw:
            getattr(output.contents, FIELDS[kind]).extend(flat)
        elif kind == "BYTES":
            answer.raw_output_contents.append(
                b"".join(len(text).to_bytes(4, "little") + text for text in flat)
            )
        else:
            answer.raw_output_contents.append(np.asarray(flat).tobytes())


async def listen(servicer: Servicer, host: str, port: int, max_bytes: int) -> tuple[aio.Server, int]:
    """Starts the service; returns it and the port, which is any free one for port 0.

    Raises:
        ServingError: nothing can listen there.
    """
    limits = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", max_bytes)]
    options = [*limits, ("grpc.so_reuseport", 0)]
    server = aio.server(options=options, maximum_concurrent_rpcs=AT_ONCE)
    add_GRPCInferenceServiceServicer_to_server(servicer, server)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        bound = server.add_insecure_port(address)
    except RuntimeError:
        bound = 0
    if not bound:
        raise ServingError(
            f"gRPC cannot listen on {address}.",
            "A free port and an address of this machine are needed.",
            "Choose another port with --grpc-port; 0 takes any free one.",
        )
    await server.start()
    return server, bound


async def end(server: aio.Server, grace: float) -> bool:
    """Takes nothing new and finishes what was begun in `grace` seconds; says whether it could."""
    begun = time.monotonic()
    await server.stop(grace)
    return time.monotonic() - begun < max(grace - EARLY_SECONDS, EARLY_SECONDS)
