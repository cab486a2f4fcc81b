"""What stands before KServe's own application: limits, and answers to what it would answer badly."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from lockgate.shipping.decode import RequestError
from serving.runtime.batcher import Overloaded

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


class TooLargeError(RequestError):
    """The body of a request is larger than the server takes."""


class Guard:
    """Refuses bodies over a size, and the endpoints by which anyone could unload the model."""

    def __init__(self, app: Application, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handles one connection's event, as ASGI says."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"].startswith("/v2/repository"):
            text = "The model repository is closed: a server serves the one model that it was started with."
            await _answer(403, text)(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._max_bytes:
            await self._refuse(scope, receive, send)
            return
        await self._app(scope, self._counted(receive), send)

    def _counted(self, receive: Receive) -> Receive:
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._max_bytes:
                raise too_large(self._max_bytes)
            return message

        return counted

    async def _refuse(self, scope: Message, receive: Receive, send: Send) -> None:
        await _answer(413, str(too_large(self._max_bytes)), {"connection": "close"})(scope, receive, send)


def too_large(max_bytes: int) -> TooLargeError:
    """Says how much would have been taken."""
    allowed = f"At most {max_bytes:,} bytes are taken; send fewer rows at once."
    return TooLargeError("The body of the request is too large.", allowed)


def protect(app: FastAPI, max_bytes: int) -> None:
    """Puts the guard before the application and gives it handlers for what a client does wrong."""
    app.add_middleware(Guard, max_bytes=max_bytes)
    app.add_exception_handler(RequestError, _on_refused)
    app.add_exception_handler(RequestValidationError, _on_malformed)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(ArithmeticError, _on_arithmetic)
    app.add_exception_handler(Overloaded, _on_overloaded)


def _answer(status: int, text: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": text}, status, headers)


async def _on_refused(_: Request, error: Exception) -> JSONResponse:
    return _answer(413 if isinstance(error, TooLargeError) else 400, str(error))


async def _on_http(_: Request, error: Exception) -> JSONResponse:
    """FastAPI's own refusals (no such path, a body that is no text), in the form of all the others."""
    assert isinstance(error, HTTPException)
    return _answer(error.status_code, error.detail)


async def _on_arithmetic(_: Request, error: Exception) -> JSONResponse:
    return _answer(500, str(error))


async def _on_overloaded(_: Request, __: Exception) -> JSONResponse:
    return _answer(503, "Too many requests wait already. Try again in a second.", {"retry-after": "1"})


async def _on_malformed(_: Request, error: Exception) -> JSONResponse:
    """A V2 request that is not even of the form; FastAPI's own answer would repeat the payload."""
    assert isinstance(error, RequestValidationError)
    first = next((e for e in error.errors() if "bytes" not in e["loc"]), error.errors()[0])
    place = ".".join(str(part) for part in first["loc"] if part not in ("body", "InferenceRequest"))
    form = 'A V2 request is {"inputs": [{"name": …, "shape": [n], "datatype": …, "data": […]}, …]}.'
    where = f" at {place}" if place and first["type"] != "json_invalid" else ""
    return _answer(400, f"The request is malformed{where}: {first['msg']}. {form}")
