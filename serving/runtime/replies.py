"""What the server itself says over HTTP: whole answers, refusals in sentences, the headers of both."""

import logging
import traceback
from typing import Any

from lockgate.shipping.decode import RequestError
from serving.runtime.batcher import Overloaded
from serving.runtime.guard import Send, TooLargeError

log = logging.getLogger("lockgate.serving")

JSON = (b"content-type", b"application/json")
CLOSE = (b"connection", b"close")
RETRY = (b"retry-after", b"1")
REVISION = "x-lockgate-revision"  # clients that send it back stay with the revision, where the route says so


def revision_digits(digest: str) -> str:
    """What names a revision in the header: the first eight digits of its digest."""
    return digest[:8]


class Failed(Exception):
    """KServe's application failed after it had answered."""


def refusal(error: Exception, request_id: str) -> tuple[int, str, tuple[tuple[bytes, bytes], ...]]:
    """The status, the sentence and more headers for a request that is not answered.

    What is the server's fault is logged with the request's id and the lines of code, without the error's own
    words: TensorFlow's may quote values of the request.
    """
    if isinstance(error, TooLargeError):
        return 413, str(error), (CLOSE,)
    if isinstance(error, RequestError):
        return 400, str(error), ()
    if isinstance(error, Overloaded):
        return 503, "Too many requests wait already: this one was not read. Try again in a second.", (RETRY,)
    places = [f"{place.filename}:{place.lineno}" for place in traceback.extract_tb(error.__traceback__)[-4:]]
    log.error("request %s failed: %s at %s", request_id, type(error).__name__, " < ".join(reversed(places)))
    if isinstance(error, ArithmeticError):
        return 500, str(error), ()
    return 500, f"The server failed; its log names the request {request_id}.", ()


async def respond(send: Send, status: int, body: bytes, headers: Any) -> None:
    """Sends a whole answer in JSON."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [JSON, length, *headers]})
    await send({"type": "http.response.body", "body": body})
