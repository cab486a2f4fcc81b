"""One-row requests on loopback: our server beside the same model in a bare KServe `Model`, in turns."""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from lockgate.shipping.server import command, environment, stop, wait_until_ready

CONNECTIONS = (16, 1)
SERVERS = ("bare KServe", "lockgate")
BARS = {(16, "rate"): "≥ 4", (16, "p99"): "≤ 0.5", (1, "rate"): "≥ 1"}
MEASURES = {"rate": "requests/s", "p50": "p50, ms", "p99": "p99, ms", "cpu": "server CPU, µs a request"}
PARTS = {
    "signature": "a call of the exported signature, a tensor a column",
    "call": "a call of the packed model, one row",
    "call of 16": "… one of sixteen rows in a call",
    "json": "reading JSON",
    "packing": "decoding and packing the values",
    "waiting": "waiting and joining (queue, futures)",
    "answer": "decision, label, writing JSON",
    "counting": "counting, scored alone",
}
Results = dict[int, dict[str, list[dict[str, Any]]]]


def main() -> None:
    """Prints rates, percentiles and ratios, with the spread over the rounds."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    given = parser.parse_known_args()[0]
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        model = _model(folder)
        ports = {server: free_port() for server in SERVERS}
        pids = {
            server: stack.enter_context(serving(server, model, port, folder / f"{server}.log"))
            for server, port in ports.items()
        }
        results = measured(ports, pids, folder / "bodies.json", given.rounds, given.seconds)
        parts = json.loads(
            run([sys.executable, "-m", "bench.serving_parts", str(model), str(folder / "bodies.json")])
        )
    show(results, given.rounds, given.seconds)
    show_parts(parts, statistics.median(r["cpu"] for r in results[16]["lockgate"]))


def _model(folder: Path) -> Path:
    """Writes the model and the requests in a process of its own, so that this one stays small."""
    code = (
        "import json, sys; from pathlib import Path; from bench.serving_model import write_model, bodies;"
        "folder = Path(sys.argv[1]); model, rows = write_model(folder);"
        "(folder / 'bodies.json').write_text(json.dumps(bodies(rows))); print(model)"
    )
    return Path(run([sys.executable, "-c", code, str(folder)]).splitlines()[-1])


@contextmanager
def serving(server: str, model: Path, port: int, log: Path) -> Iterator[int]:
    """Serves while the context lasts; gives the process' id."""
    words = [sys.executable, "-m", "bench.bare_kserve", str(model), str(port)]
    if server == "lockgate":
        words = command(model, "bench", ["--port", str(port), "--drain", "0"])
    with log.open("wb") as said:
        process = subprocess.Popen(words, env=environment(), stdout=said, stderr=said)
        try:
            if why := wait_until_ready(process, f"http://127.0.0.1:{port}/v1/models/bench", 120):
                raise SystemExit(f"{server} {why}: {log.read_text()[-500:]}")
            yield process.pid
        finally:
            stop(process, 30)


def measured(
    ports: dict[str, int], pids: dict[str, int], bodies: Path, rounds: int, seconds: float
) -> Results:
    """By connections and server, the results of all rounds; the servers take turns, after a warm-up each."""
    results: Results = {c: {s: [] for s in SERVERS} for c in CONNECTIONS}
    for server in SERVERS:
        loaded(ports[server], pids[server], 16, 1.0, bodies)
    for _ in range(rounds):
        for connections in CONNECTIONS:
            for server in SERVERS:
                result = loaded(ports[server], pids[server], connections, seconds, bodies)
                results[connections][server].append(result)
    return results


def loaded(port: int, pid: int, connections: int, seconds: float, bodies: Path) -> dict[str, Any]:
    """The result of one load from a client process of its own, and the server's CPU time a request."""
    where = ["127.0.0.1", str(port), "/v1/models/bench:predict"]
    words = [sys.executable, "-m", "bench.load", *where, str(connections), str(seconds), str(bodies)]
    server = psutil.Process(pid)
    before = sum(server.cpu_times()[:2])
    result: dict[str, Any] = json.loads(run(words))
    if result["failed"]:
        raise SystemExit(f"{result['failed']} requests failed.")
    return result | {"cpu": (sum(server.cpu_times()[:2]) - before) / result["requests"] * 1e6}


def show(results: Results, rounds: int, seconds: float) -> None:
    """Prints the table: medians over the rounds, and the ratios' range."""
    table = Table(title=f"One-row requests, 17 columns ({rounds} rounds of {seconds:g} s)")
    for column in ("connections", "measure", *SERVERS, "ratio (least to most)", "bar"):
        table.add_column(column, no_wrap=True)
    for connections, servers in results.items():
        bare, ours = (servers[server] for server in SERVERS)
        for key, name in MEASURES.items():
            ratios = [b[key] / a[key] for a, b in zip(bare, ours, strict=True)]
            digits = "{:.2f}" if key.startswith("p") else "{:,.0f}"
            table.add_row(
                str(connections),
                name,
                *(digits.format(statistics.median(r[key] for r in each)) for each in (bare, ours)),
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
                BARS.get((connections, key), ""),
            )
    Console(width=110).print(table)


def show_parts(parts: dict[str, float], whole: float) -> None:
    """Prints where a request's time goes; HTTP is what is left of the server's CPU time at 16 connections."""
    table = Table(title="Where the time goes (CPU, µs a request)")
    table.add_column("part")
    table.add_column("µs", justify="right")
    for key, name in PARTS.items():
        table.add_row(name, f"{parts[key]:.0f}")
    inside = sum(parts[key] for key in ("call of 16", "json", "packing", "waiting", "answer"))
    table.add_row("the server, a request of sixteen", f"{whole:.0f}")
    table.add_row("… of it HTTP: sockets, uvicorn, tasks", f"{whole - inside:.0f}")
    Console(width=110).print(table)


def run(words: list[str]) -> str:
    """What a program prints."""
    env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-1000:])
    return done.stdout


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
