"""A steady stream of requests, of which every single one is accounted for."""

import asyncio
import threading
import time
from collections import Counter
from types import TracebackType
from typing import Any, Self

import httpx

SECONDS = 30.0


class Load:
    """Sends `rate` requests per second from a thread as long as the context lasts.

    They go out by the clock, whether or not earlier ones were answered; every second one ends its
    connection, so that there are kept and new ones all the time.

    Args:
        url: where to post.
        host: the Host header.
        body: JSON.
        rate: requests per second.
    """

    def __init__(self, url: str, host: str, body: Any, rate: float = 50.0) -> None:
        self._url, self._host, self._body, self._rate = url, host, body, rate
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._send_all()))
        self.answers: Counter[str] = Counter()
        self.slowest = 0.0
        self.seconds = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    @property
    def sent(self) -> int:
        """How many requests were sent; each has an answer or an error by the end of the context."""
        return sum(self.answers.values())

    def lost(self) -> dict[str, int]:
        """What was answered otherwise than with 200, and how often."""
        return {said: count for said, count in self.answers.items() if said != "200"}

    async def _send_all(self) -> None:
        started = time.monotonic()
        waiting = set()
        async with httpx.AsyncClient(trust_env=False, timeout=SECONDS, verify=False) as client:
            while not self._stopped.is_set():
                waiting.add(asyncio.create_task(self._send(client, is_kept=len(waiting) % 2 == 0)))
                due = started + len(waiting) / self._rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            self.seconds = time.monotonic() - started
            await asyncio.gather(*waiting)

    async def _send(self, client: httpx.AsyncClient, *, is_kept: bool) -> None:
        begun = time.monotonic()
        headers = {"Host": self._host, "Connection": "keep-alive" if is_kept else "close"}
        try:
            answer = await client.post(self._url, json=self._body, headers=headers)
            said = str(answer.status_code)
        except httpx.HTTPError as error:
            said = f"{type(error).__name__}: {error}"
        self.answers[said] += 1
        self.slowest = max(self.slowest, time.monotonic() - begun)
