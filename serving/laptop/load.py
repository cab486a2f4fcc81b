"""Requests at a steady rate, by the clock: a slow server does not slow its clients down.

A client that waits for an answer before it asks again sends less to a slow server, and so hides how slow
it is. Here each request has its moment; one whose moment has passed is sent at once, and how late that was
is told.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import aiohttp

REVISION = "x-lockgate-revision"
# Connections at once; what needs more waits for a free one and is then late.
CONNECTIONS = 256
# A request without an answer by then has failed.
TIMEOUT_SECONDS = 30.0


@dataclass
class Counts:
    """What a load has sent and got so far.

    `answers` counts by status code, or by the failure's name where there was no answer, and by revision
    (""; where the answer names none). `latest` is the longest time in seconds that a request was sent after
    its moment: far above 0, the client could not keep its rate. `seconds` is the sum of the times from
    sending to the whole answer, over `answers`.
    """

    sent: int = 0
    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    latest: float = 0.0
    seconds: float = 0.0

    @property
    def answered(self) -> int:
        """Requests that have ended, one way or the other."""
        return self.answers.total()

    @property
    def failed(self) -> int:
        """Requests that ended without a status below 400."""
        return sum(n for (code, _), n in self.answers.items() if not code.isdigit() or int(code) >= 400)

    def by_revision(self, revision: str) -> Counter[str]:
        """The answers of one revision, by status code."""
        return Counter({code: n for (code, of), n in self.answers.items() if of == revision})


class Load:
    """Sends bodies in turn to one URL while the context lasts, or up to a number or a time; in a thread.

    The context ends when every request that was sent has its answer.

    Args:
        url: of the predictions, such as http://127.0.0.1:8080/v1/models/flights:predict.
        bodies: JSON requests, sent in turn, over and over.
        rate: requests a second.
        most: how many to send at most; None: no limit.
        seconds: how long to send at most; None: no limit.
        headers: more headers of each request.
    """

    def __init__(
        self,
        url: str,
        bodies: Sequence[bytes],
        rate: float,
        most: int | None = None,
        seconds: float | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self._url = url
        self._bodies = bodies
        self._rate = rate
        limits = [most] if most is not None else []
        limits += [round(seconds * rate)] if seconds is not None else []
        self._most = min(limits, default=None)
        self._headers = {"content-type": "application/json", **(headers or {})}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load")
        self._failure: BaseException | None = None
        self.counts = Counts()

    def __enter__(self) -> Self:
        """Starts to send."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Sends nothing more, and waits for the answers."""
        self._stop.set()
        self.wait()

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until all is sent and answered, at most `timeout` seconds; says whether it is."""
        self._thread.join(timeout)
        if self._failure is not None:
            raise self._failure
        return not self._thread.is_alive()

    def _run(self) -> None:
        import uvloop

        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._send())
        except BaseException as failure:  # raised again where the load is waited for
            self._failure = failure

    async def _send(self) -> None:
        import aiohttp

        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout, headers=self._headers) as client,
            asyncio.TaskGroup() as requests,
        ):
            started = time.perf_counter()
            while not self._stop.is_set() and (self._most is None or self.counts.sent < self._most):
                moment = started + self.counts.sent / self._rate
                if (early := moment - time.perf_counter()) > 0:
                    await asyncio.sleep(early)
                self.counts.latest = max(self.counts.latest, time.perf_counter() - moment)
                body = self._bodies[self.counts.sent % len(self._bodies)]
                self.counts.sent += 1
                requests.create_task(self._request(client, body))

    async def _request(self, client: "aiohttp.ClientSession", body: bytes) -> None:
        import aiohttp

        begun = time.perf_counter()
        try:
            async with client.post(self._url, data=body) as answer:
                await answer.read()
                ended = (str(answer.status), answer.headers.get(REVISION, ""))
        except (aiohttp.ClientError, TimeoutError) as error:
            ended = (type(error).__name__, "")
        self.counts.seconds += time.perf_counter() - begun
        self.counts.answers[ended] += 1
