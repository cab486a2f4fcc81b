"""SIGTERM under load loses no request: each is answered, or its connection was never taken."""

import asyncio
import json
import signal
import socket
import subprocess
import time
from pathlib import Path

import httpx
import pytest
import uvicorn

from lockgate.shipping.server import command, environment
from serving.runtime.draining import DrainingServer
from serving.runtime.health import Health
from serving.runtime.scorer import Scorer

ROW = {"distance": 500, "carrier": "UA", "Zeit é": 1380604500}
BODY = json.dumps({"instances": [ROW]}).encode()
DRAIN = 1.5


class Lost(Exception):
    """A request was sent, and its answer did not come."""


async def client(port, seen, connections):
    """Sends requests over kept connections and connects again when told to; ends when nobody listens."""
    head = b"POST /v1/models/tiny:predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(BODY)
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            return
        connections.append(time.monotonic())
        closes = False
        while not closes:
            writer.write(head + BODY)
            try:
                answer = await reader.readuntil(b"\r\n\r\n")
                length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                raise Lost(repr(error)) from None
            assert answer.startswith(b"HTTP/1.1 200 "), answer
            closes = b"connection: close" in answer.lower()
            seen.append((time.monotonic(), closes))
        writer.close()


async def load_and_stop(server, clients):
    seen: list[tuple[float, bool]] = []
    connections: list[float] = []
    tasks = [asyncio.create_task(client(server.port, seen, connections)) for _ in range(clients)]
    while len(seen) < 500:
        await asyncio.sleep(0.05)
        assert not any(task.done() for task in tasks)
    before = len(connections)
    told = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
        while (ready := await http.get("/v2/health/ready")).status_code == 200:
            assert time.monotonic() - told < 1
        live = await http.get("/v2/health/live")
        v1, model = await http.get("/v1/models/tiny"), await http.get("/v2/models/tiny/ready")
    await asyncio.wait_for(asyncio.gather(*tasks), 60)
    return seen, told, before, connections, (ready, live, v1, model)


def test_sigterm_under_load_loses_no_request(exported, serve, tmp_path):
    with serve(exported(), tmp_path / "log", "--drain", str(DRAIN)) as server:
        seen, told, before, connections, answers = asyncio.run(load_and_stop(server, 12))
        assert server.process.wait(20) == 0
    ready, live, v1, model = answers
    assert "told to stop" in ready.json()["error"]
    assert (ready.status_code, v1.status_code, model.status_code) == (503, 503, 503)
    assert live.status_code == 200, "the process is well: nobody should restart it"
    assert before == 12, "before the end every connection is kept"
    after = [closes for at, closes in seen if at > told + 0.5]
    assert len(after) > 100, "requests are answered on while the drain lasts"
    assert all(after), "and each answer ends its connection"
    assert max(at for at, _ in seen) > told + DRAIN - 0.2
    assert len(connections) - before > 100
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM, signal.SIGTERM]])
def test_ctrl_c_or_a_second_signal_does_not_wait_for_the_drain(exported, serve, tmp_path, signals):
    with serve(exported(), tmp_path / "log", "--drain", "120") as server:
        started = time.monotonic()
        for each in signals:
            server.process.send_signal(each)
            if len(signals) > 1:
                while "told to stop" not in server.log.read_text():
                    assert time.monotonic() - started < 10
                    time.sleep(0.02)
        assert server.process.wait(10) == 0


def test_an_idle_kept_connection_does_not_hold_the_server(exported, serve, tmp_path):
    with serve(exported(), tmp_path / "log", "--drain", "0") as server, httpx.Client(trust_env=False) as http:
        assert http.post(f"{server.url}/v1/models/tiny:predict", content=BODY).status_code == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(10) == 0
        assert "every request in flight was answered" in server.log.read_text()


def test_http_and_grpc_share_one_deadline_and_the_last_line_says_what_was_cut(exported, serve, tmp_path):
    options = ("--drain", "0", "--grace", "2", "--grpc-port", "0")
    with serve(exported(), tmp_path / "log", *options) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as begun:
            begun.sendall(
                b"POST /v1/models/tiny:predict HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n"
                b"content-length: 100\r\n\r\n"
            )
            assert begun.recv(100).startswith(b"HTTP/1.1 100 ")  # the server waits for the body, in vain
            told = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(20) == 0
            assert 2 <= time.monotonic() - told < 8
        assert "still in flight after 2 s were cut off" in server.log.read_text()
        assert "every request in flight was answered" not in server.log.read_text()


def test_the_server_ends_even_when_taking_the_last_connections_fails(exported):
    async def finish() -> bool:
        return True

    async def end() -> bool:
        server = DrainingServer(uvicorn.Config("serving"), Health(Scorer(exported())), 0, finish)
        closed = socket.socket()
        closed.close()
        server._listening = [closed]
        server.stop(signal.SIGINT)
        await server._ending
        return server.should_exit

    assert asyncio.run(end())


def test_a_server_that_is_still_loading_stops_at_once(exported):
    """The first process of a container would ignore the signal, had it not asked for it."""
    words = command(exported(), "tiny", ["--port", "0"])
    loading = subprocess.Popen(words, env=environment(), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not handles(loading.pid, signal.SIGTERM):
        assert time.monotonic() < deadline
        assert loading.poll() is None
    loading.send_signal(signal.SIGTERM)
    assert loading.wait(20) == 0


def handles(pid, wanted):
    """Whether the process has a handler for the signal, as Linux tells."""
    line = next(x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("SigCgt"))
    return bool(int(line.split()[1], 16) >> (wanted - 1) & 1)
