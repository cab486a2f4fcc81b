"""A GCS emulator for tests, and a proxy in front of it on which the network fails as it is told to.

The emulator is the one at STORAGE_EMULATOR_HOST; .ci/run starts one, and runs the tests marked `gcs`.
"""

import http.client
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

import pytest

from lockgate.gcs import EMULATOR_VARIABLE

marks = [
    pytest.mark.gcs,
    pytest.mark.skipif(not os.environ.get(EMULATOR_VARIABLE), reason=f"no emulator at {EMULATOR_VARIABLE}"),
]

# busy: 503 instead of the request; forbidden: 403; lost: the request takes effect, but its answer is lost;
# dead: the connection ends before the request; cut: half of the answer; damaged: one bit of the answer
# is another; spoilt: one bit of the request is another.
Fault = Literal["busy", "forbidden", "lost", "dead", "cut", "damaged", "spoilt"]
HOP = {"connection", "transfer-encoding", "keep-alive", "content-length", "date", "server"}


def new_bucket() -> str:
    """An empty bucket: gs://…"""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage  # noqa: TID251 - makes the bucket that Lockgate is given

    client = storage.Client(project="emulated", credentials=AnonymousCredentials())
    return f"gs://{client.create_bucket(f'lockgate-{uuid.uuid4().hex[:8]}').name}"


class Network:
    """What happens to requests: `faults` says it of each, by its method and path, or None: nothing."""

    def __init__(self) -> None:
        self.faults: Callable[[str, str], Fault | None] = lambda method, path: None
        self.faults_by_body: Callable[[bytes], Fault | None] = lambda body: None
        self.requests: list[tuple[str, str]] = []

    def fail(self, *faults: Fault, method: str = "", path: str = "") -> None:
        """The first requests of that method whose path holds `path` fail so, one after another."""
        left = list(faults)
        lock = threading.Lock()

        def next_fault(its_method: str, its_path: str) -> Fault | None:
            with lock:
                return left.pop(0) if left and method in its_method and path in its_path else None

        self.faults = next_fault

    def fail_uploads_of(self, name: str) -> None:
        """No upload of an object whose name ends so arrives."""
        self.faults = lambda method, path: None
        self.faults_by_body = lambda body: "dead" if f'{name}"'.encode() in body[:600] else None

    def fail_always(self, fault: Fault, method: str = "", path: str = "") -> None:
        """All requests of that method whose path holds `path` fail so."""
        self.faults = lambda its_method, its_path: (
            fault if method in its_method and path in its_path else None
        )


@contextmanager
def network() -> Iterator[tuple[str, Network]]:
    """A proxy in front of the emulator: its URL, and what to tell it."""
    state = Network()
    target = urlsplit(os.environ[EMULATOR_VARIABLE])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            body = bytearray(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            state.requests.append((self.command, self.path))
            fault = state.faults(self.command, self.path) or state.faults_by_body(bytes(body))
            if fault == "dead":
                self.close_connection = True
                return
            if fault in ("busy", "forbidden"):
                status = 503 if fault == "busy" else 403
                self._answer(status, {"Content-Type": "application/json"}, b'{"error": {"message": "no"}}')
                return
            if fault == "spoilt" and body:
                body[len(body) // 2] ^= 1
            upstream = http.client.HTTPConnection(target.netloc, timeout=30)
            upstream.request(self.command, self.path, bytes(body), dict(self.headers))
            answer = upstream.getresponse()
            content = bytearray(answer.read())
            headers = {n: v for n, v in answer.getheaders() if n.lower() not in HOP}
            if "Location" in headers:  # an upload that goes on goes on through this proxy
                headers["Location"] = headers["Location"].replace(f"{target.netloc}", f"127.0.0.1:{port}")
            upstream.close()
            if fault == "lost":
                self.close_connection = True
                return
            if fault == "damaged":
                content[len(content) // 2] ^= 1
            self._answer(answer.status, headers, bytes(content), cut=fault == "cut")

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = pass_on  # noqa: N815 - as http.server wants

        def _answer(self, status: int, headers: dict[str, str], body: bytes, cut: bool = False) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if cut else body)
            self.close_connection = cut

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    port = server.server_address[1]
    serving = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    serving.start()
    try:
        yield f"http://127.0.0.1:{port}", state
    finally:
        server.shutdown()
        server.server_close()
