"""`python -m bench.load HOST PORT PATH CONNECTIONS SECONDS BODIES`: requests over kept connections, as JSON.

Each connection sends its next request when the answer to the last one is whole. The client costs some ten
microseconds a request, so that the server is what is measured.
"""

import asyncio
import json
import re
import sys
import time
from itertools import cycle
from pathlib import Path

import numpy as np
import uvloop

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
END = b"\r\n\r\n"


class Connection(asyncio.Protocol):
    """Sends requests one after the other until `until` (perf_counter seconds), and times them."""

    def __init__(self, requests: "cycle[bytes]", until: float) -> None:
        self.seconds: list[float] = []
        self.failed = 0
        self.done = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._until = until
        self._received = b""
        self._wanted = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Sends the first request."""
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """Sends the next request once an answer is whole."""
        self._received = self._received + data if self._received else data
        if not self._wanted:
            head = self._received.find(END)
            if head < 0:
                return
            length = LENGTH.search(self._received, 0, head)
            if length is None:
                raise ValueError("an answer without content-length")
            self._wanted = head + len(END) + int(length[1])
        if len(self._received) < self._wanted:
            return
        now = time.perf_counter()
        self.seconds.append(now - self._sent)
        self.failed += not self._received.startswith(b"HTTP/1.1 200 ")
        self._received, self._wanted = b"", 0
        if now < self._until:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """Ends; losing a connection early is a failure."""
        self.failed += time.perf_counter() < self._until
        if not self.done.done():
            self.done.set_result(error)

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(next(self._requests))


async def load(
    host: str, port: int, path: str, connections: int, seconds: float, bodies: list[bytes]
) -> None:
    """Prints requests per second and percentiles in milliseconds."""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-type: application/json\r\ncontent-length: "
    )
    requests = cycle([head.encode() + b"%d\r\n\r\n%s" % (len(body), body) for body in bodies])
    started = time.perf_counter()
    until = started + seconds
    loop = asyncio.get_running_loop()
    opened = [
        (await loop.create_connection(lambda: Connection(requests, until), host, port))[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(each.done for each in opened))
    took = time.perf_counter() - started
    times = np.array([one for each in opened for one in each.seconds])
    p50, p99 = np.percentile(times * 1e3, [50, 99])
    result = {
        "requests": len(times),
        "rate": len(times) / took,
        "p50": p50,
        "p99": p99,
        "failed": sum(each.failed for each in opened),
    }
    print(json.dumps(result))


def main() -> None:
    """Reads the command line."""
    host, port, path, connections, seconds, file = sys.argv[1:]
    bodies = [json.dumps(body).encode() for body in json.loads(Path(file).read_text())]
    uvloop.run(load(host, int(port), path, int(connections), float(seconds), bodies))


if __name__ == "__main__":
    main()
