"""What stands before KServe's application: the short way for predictions, readiness, request ids, counts.

KServe's way from a request to the model costs more than the model. So the two prediction paths are answered
here; whatever needs more (binary tensors, cloud events, metadata, metrics) goes on to KServe's application.
"""

import asyncio
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from itertools import count

import orjson

from lockgate.shipping.decode import RequestError
from serving.runtime.batcher import Batcher, Slice
from serving.runtime.guard import Application, Message, Receive, Send, TooLargeError, too_large
from serving.runtime.health import Health
from serving.runtime.metrics import Metrics
from serving.runtime.protocols import V1, V2, NotPlain
from serving.runtime.replies import CLOSE, REVISION, Failed, refusal, respond, revision_digits
from serving.runtime.room import LARGE_BYTES, Held, Room
from serving.runtime.sample import PATH, First, Sample, first_rows
from serving.runtime.scorer import Scorer

ID = re.compile(rb"[\x21-\x7e]{1,128}")
LONG_WAY = frozenset({b"inference-header-content-length", b"ce-specversion"})
CLOSED = "/v2/repository"  # the guard says why
GONE = 499  # nginx' code for a client that left before its answer


class Gone(Exception):
    """The client left before its request was whole."""


class Front:
    """The first application: answers predictions and readiness, hands on everything else that is read.

    Args:
        app: KServe's application.
        name: the model's name in the URL.
        scorer: the model.
        batcher: on it.
        metrics: is told of every prediction request.
        sample: is told of every one that succeeded.
        health: says whether the server is ready, and whether it is about to stop.
        room: for bodies.
        max_rows: of a request.
        max_bytes: of a request's body.
    """

    def __init__(
        self,
        app: Application,
        name: str,
        scorer: Scorer,
        batcher: Batcher,
        metrics: Metrics,
        sample: Sample,
        health: Health,
        room: Room,
        max_rows: int,
        max_bytes: int,
    ) -> None:
        self._app = app
        self._scorer = scorer
        self._batcher = batcher
        self._metrics = metrics
        self._sample = sample
        self._revision = (REVISION.encode(), revision_digits(sample.digest).encode())
        self._health = health
        self._room = room
        self._max_bytes = max_bytes
        self._predict: Mapping[str, V1 | V2] = {
            f"/v1/models/{name}:predict": V1(scorer.packing, max_rows),
            f"/v2/models/{name}/infer": V2(scorer.packing, max_rows, name),
        }
        self._ready = frozenset({"/v2/health/ready", f"/v2/models/{name}/ready", f"/v1/models/{name}"})
        sentence = f"Nothing takes a POST here. Predictions are at {' and '.join(self._predict)}."
        self._no_such = orjson.dumps({"error": sentence})
        self._ids = map(f"{secrets.token_hex(6)}-{{:x}}".format, count(1))

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handles one connection's event, as ASGI says."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif (protocol := self._predict.get(scope["path"])) is not None and scope["method"] == "POST":
            await self._prediction(protocol, scope, receive, send)
        elif scope["path"] == PATH and scope["method"] == "GET":
            await self._answers(scope["query_string"], send)
        elif scope["path"] in self._ready and (reason := self._health.why_not()):
            await respond(send, 503, orjson.dumps({"ready": False, "error": reason}), (CLOSE,))
        elif scope["method"] == "POST" and not scope["path"].startswith(CLOSED):
            # KServe has more ways to predict, which know nothing of our limits, counts and log.
            await respond(send, 404, self._no_such, (CLOSE,))
        else:
            await self._app(scope, receive, self._closing(send))

    async def _prediction(self, protocol: V1 | V2, scope: Message, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        given, expected, is_long = _read(scope["headers"])
        named = given if ID.fullmatch(given) else next(self._ids).encode()
        headers: list[tuple[bytes, bytes]] = [(b"x-request-id", named), self._revision]
        held, body, first = Held(self._room), b"", None
        try:
            if expected > self._max_bytes:
                raise too_large(self._max_bytes)
            held.add(expected)
            self._batcher.admit()
            body = await self._body(receive, held)
            try:
                if is_long:
                    raise NotPlain
                answer, first = await self._answer(protocol, body, named)
            except NotPlain:
                status, first = await self._long_way(scope, body, send, headers)
            else:
                status = 200
                await respond(send, status, answer, self._closed(headers))
        except Gone:
            status = GONE
        except Exception as error:
            status, sentence, more = refusal(error, named.decode())
            if isinstance(error, TooLargeError):
                self._metrics.refused["too_large"] += 1
            await respond(send, status, orjson.dumps({"error": sentence}), (*self._closed(headers), *more))
        finally:
            held.release()
        if status != 200:  # it was scored, and then failed
            first = None
        self._metrics.answered(protocol.name, str(status), time.perf_counter() - started, first)
        if first is not None:
            self._sample.add(body, first)

    async def _answers(self, query: bytes, send: Send) -> None:
        try:
            status, answers = 200, self._sample.read(query)
        except RequestError as error:
            status, answers = 400, orjson.dumps({"error": str(error)})
        await respond(send, status, answers, self._closed([]))

    async def _body(self, receive: Receive, held: Held) -> bytes:
        parts: list[bytes] = []
        size, is_more = 0, True
        while is_more:
            message = await receive()
            if message["type"] != "http.request":
                raise Gone
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            is_more = message.get("more_body", False)
            if size > self._max_bytes:
                raise too_large(self._max_bytes)
            if size > held.bytes:  # a body whose length was not declared
                held.add(size - held.bytes)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _answer(self, protocol: V1 | V2, body: bytes, request_id: bytes) -> tuple[bytes, First]:
        if len(body) <= LARGE_BYTES:
            packed, named = protocol.read(body)
            answer = await self._batcher.score(packed)
            return protocol.write(answer, named or request_id.decode()), answer.first()
        read: list[str] = []

        def score() -> Slice:
            packed, named = protocol.read(body)
            read.append(named)
            return Slice(self._scorer.answer(self._scorer.scores(packed)), 0, packed.rows)

        answer = await self._batcher.aside(score)
        named = read[0] or request_id.decode()
        return await asyncio.to_thread(protocol.write, answer, named), answer.first()

    async def _long_way(
        self, scope: Message, body: bytes, send: Send, headers: list[tuple[bytes, bytes]]
    ) -> tuple[int, First | None]:
        """Through KServe's application, which has the body to read once more.

        Returns:
            The status, and the first row's answer if the model was reached.
        """
        status = 0
        firsts: list[First] = []
        first_rows.set(firsts)
        gone = asyncio.get_running_loop().create_future()
        unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return unread.pop() if unread else await gone

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *self._closed(headers)]}
            await send(message)

        try:
            await self._app(scope, again, noted)
        except Exception:
            if not status:
                raise
            # Starlette answers with 500, and then raises for the server's log, which must hold no payload.
            status, *_ = refusal(Failed(), headers[0][1].decode())
        return status, firsts[0] if firsts else None

    def _closed(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        return [*headers, CLOSE] if self._health.draining else headers

    def _closing(self, send: Send) -> Send:
        if not self._health.draining:
            return send

        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), CLOSE]}
            await send(message)

        return closing


def _read(headers: Sequence[tuple[bytes, bytes]]) -> tuple[bytes, int, bool]:
    """The request's id, the length of its body (0: not said), and whether it must take the long way."""
    given, length, is_long = b"", b"", False
    for key, value in headers:
        if key == b"content-length":
            length = value
        elif key == b"x-request-id":
            given = value
        elif key in LONG_WAY:
            is_long = True
    return given, int(length) if length.isdigit() else 0, is_long
