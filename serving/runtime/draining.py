"""Stopping without losing a request.

When Kubernetes ends a pod, gateways hear of it some seconds late. So the server that is told to stop says
at once that it is not ready, but answers on for a while, and ends each connection with its next answer
(`Connection: close`): clients open their next one elsewhere. Then it takes no new connection, finishes what
it has begun, and exits.
"""

import asyncio
import contextlib
import ctypes
import logging
import signal
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator

import uvicorn

from serving.runtime.health import Health

log = logging.getLogger("lockgate.serving")

SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Connections that were accepted, but whose request is still on its way.
LINGER_SECONDS = 0.3
# By then the event loop has closed its own handle of the listening socket.
CLOSE_SECONDS = 0.05
SO_ATTACH_FILTER = 26
# Classic BPF over a TCP segment: load its flags (byte 13); is SYN (2) set? drop it : take it.
REFUSE_SYN = ((0x30, 0, 0, 13), (0x45, 0, 1, 2), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))


class DrainingServer(uvicorn.Server):
    """Uvicorn's server with an end in three parts: answer on, take nothing new, finish.

    Args:
        config: uvicorn's.
        health: is told at once.
        seconds: to answer on after SIGTERM. SIGINT (Ctrl-C), or a second signal, cuts this short.
        finish: is awaited when nothing new is taken any more, while HTTP's last requests are answered (ends
            gRPC); says whether all was answered.

    Attributes:
        answered: whether every request that was begun got its answer; known when `serve` has ended.
    """

    def __init__(
        self, config: uvicorn.Config, health: Health, seconds: float, finish: Callable[[], Awaitable[bool]]
    ) -> None:
        super().__init__(config)
        self._health = health
        self._seconds = seconds
        self._finish = finish
        self.answered = False
        self._listening: list[socket.socket] = []
        self._ending: asyncio.Task[None] | None = None
        self._now = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Takes the signals for the time that the server runs, in place of uvicorn, which stops at once."""
        loop = asyncio.get_running_loop()
        for each in SIGNALS:
            loop.add_signal_handler(each, self.stop, each)
        try:
            yield
        finally:
            for each in SIGNALS:
                loop.remove_signal_handler(each)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serves on bound sockets until the end of the drain."""
        self._listening = sockets or []
        await super().serve(sockets)

    def stop(self, given: signal.Signals) -> None:
        """Begins the end; called again, hurries it."""
        self._health.draining = True
        if given == signal.SIGINT or self._ending is not None:
            self._now.set()
        if self._ending is None:
            log.info("told to stop; answering on for %g s", 0 if self._now.is_set() else self._seconds)
            self._ending = asyncio.get_running_loop().create_task(self._end())

    async def _end(self) -> None:
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._now.wait(), self._seconds)
            for listening in self._listening:
                refuse_new(listening)
            await self._take_last()
            await asyncio.sleep(LINGER_SECONDS)
        except Exception:
            log.exception("the last connections could not be taken")
        finally:
            self.should_exit = True  # whatever happens: nobody else ends the process

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finishes what was begun, over HTTP and by `finish` at once: one deadline holds for both."""
        finishing = asyncio.ensure_future(self._finish())
        await super().shutdown(sockets)
        self.answered = await finishing and self.answered

    async def _wait_tasks_to_complete(self) -> None:
        # Uvicorn cancels this at the deadline, and tells nobody.
        await super()._wait_tasks_to_complete()
        self.answered = True

    async def _take_last(self) -> None:
        """Stops listening; the connections that the kernel has accepted for us are still taken and answered.

        Closing resets what waits in the socket's queue. The event loop closes its socket only some time after
        its last look into the queue, so a second handle is kept open until then, emptied and closed at once.
        """
        last = [listening.dup() for listening in self._listening]
        for server in self.servers:
            server.close()
        await asyncio.sleep(CLOSE_SECONDS)
        taken = [connection for listening in last for connection in emptied(listening)]
        loop = asyncio.get_running_loop()
        for connection in taken:
            await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg, assignment, union-attr]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made


def emptied(listening: socket.socket) -> list[socket.socket]:
    """Closes a listening socket; returns the connections that waited in its queue."""
    listening.setblocking(False)
    taken = []
    with listening:
        while True:
            try:
                taken.append(listening.accept()[0])
            except BlockingIOError:
                break
    return taken


def refuse_new(listening: socket.socket) -> None:
    """Lets the kernel drop requests for new connections, while those that wait are still accepted.

    Closing a listening socket resets the connections in its queue, on which clients may have sent requests
    already. A dropped SYN is sent again by the client, and then finds the port closed: nothing is lost. Some
    kernels let only root do this; without it, what comes in the microseconds of the closing is reset.
    """
    program = b"".join(struct.pack("HBBI", *line) for line in REFUSE_SYN)
    buffer = ctypes.create_string_buffer(program, len(program))
    try:
        option = struct.pack("HL", len(REFUSE_SYN), ctypes.addressof(buffer))
        listening.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, option)
    except OSError as error:  # no Linux, or one that forbids it
        log.debug("new connections cannot be refused before the end: %s", error.strerror)
