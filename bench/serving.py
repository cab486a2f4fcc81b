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

from rich.console import Console
from rich.table import Table

from lockgate.shipping.server import command, environment, stop, wait_until_ready

CONNECTIONS = (16, 1)
BARS = {16: "≥ 4 × the rate, ≤ 0.5 × the p99", 1: "≥ 1 × the rate"}


def main() -> None:
    """Prints rates, percentiles and ratios, with the spread over the rounds."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    given = parser.parse_known_args()[0]
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        model = _model(folder)
        ports = {"bare KServe": free_port(), "lockgate": free_port()}
        for server, port in ports.items():
            stack.enter_context(serving(server, model, port, folder / f"{server}.log"))
        results = measured(ports, folder / "bodies.json", given.rounds, given.seconds)
    show(results, given.rounds, given.seconds)


def _model(folder: Path) -> Path:
    """Writes the model and the requests in a process of its own, so that this one stays small."""
    code = (
        "import json, sys; from pathlib import Path; from bench.serving_model import write_model, bodies;"
        "folder = Path(sys.argv[1]); model, rows = write_model(folder);"
        "(folder / 'bodies.json').write_text(json.dumps(bodies(rows))); print(model)"
    )
    return Path(run([sys.executable, "-c", code, str(folder)]).splitlines()[-1])


@contextmanager
def serving(server: str, model: Path, port: int, log: Path) -> Iterator[None]:
    """Serves while the context lasts."""
    words = [sys.executable, "-m", "bench.bare_kserve", str(model), str(port)]
    if server == "lockgate":
        words = command(model, "bench", ["--port", str(port), "--drain", "0"])
    with log.open("wb") as said:
        process = subprocess.Popen(words, env=environment(), stdout=said, stderr=said)
        try:
            if why := wait_until_ready(process, f"http://127.0.0.1:{port}/v1/models/bench", 120):
                raise SystemExit(f"{server} {why}: {log.read_text()[-500:]}")
            yield
        finally:
            stop(process, 30)


def measured(
    ports: dict[str, int], bodies: Path, rounds: int, seconds: float
) -> dict[int, dict[str, list[dict[str, Any]]]]:
    """By connections and server, the results of all rounds; the servers take turns, after a warm-up each."""
    results: dict[int, dict[str, list[dict[str, Any]]]] = {c: {s: [] for s in ports} for c in CONNECTIONS}
    for port in ports.values():
        loaded(port, 16, 1.0, bodies)
    for _ in range(rounds):
        for connections in CONNECTIONS:
            for server, port in ports.items():
                results[connections][server].append(loaded(port, connections, seconds, bodies))
    return results


def loaded(port: int, connections: int, seconds: float, bodies: Path) -> dict[str, Any]:
    """The result of one load from a client process of its own."""
    where = ["127.0.0.1", str(port), "/v1/models/bench:predict"]
    words = [sys.executable, "-m", "bench.load", *where, str(connections), str(seconds), str(bodies)]
    result: dict[str, Any] = json.loads(run(words))
    if result["failed"]:
        raise SystemExit(f"{result['failed']} requests failed.")
    return result


def show(results: dict[int, dict[str, list[dict[str, Any]]]], rounds: int, seconds: float) -> None:
    """Prints the table: medians over the rounds, and the ratios' range."""
    table = Table(
        title=f"One-row requests, 17 columns ({rounds} rounds of {seconds:g} s)", title_justify="left"
    )
    for column in ("connections", "", "bare KServe", "lockgate", "ratio (least to most)", "bar"):
        table.add_column(column)
    for connections, servers in results.items():
        bare, ours = servers["bare KServe"], servers["lockgate"]
        for key, name in (("rate", "requests/s"), ("p50", "p50, ms"), ("p99", "p99, ms")):
            ratios = [b[key] / a[key] for a, b in zip(bare, ours, strict=True)]
            digits = "{:,.0f}" if key == "rate" else "{:.2f}"
            table.add_row(
                str(connections) if key == "rate" else "",
                name,
                *(digits.format(statistics.median(r[key] for r in each)) for each in (bare, ours)),
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
                BARS[connections] if key == "rate" else "",
            )
        cpu = (f"{statistics.median(r['client_cpu'] for r in each):.2f}" for each in (bare, ours))
        table.add_row("", "client, cores", *cpu, "", "")
    Console().print(table)


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
