"""Envoy's admin port, read: what it listens on, what it goes by, what it has counted."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import httpx

from lockgate.errors import ServingError
from serving.laptop.envoy import Route, mirror_name, read_route


@dataclass(frozen=True)
class Requests:
    """Whole requests of one backend since the proxy started: answered, with 5xx among them, and copies.

    Where no server answers, the proxy does with 503; that counts as both.
    """

    answered: int
    failed: int
    mirrored: int


class Admin:
    """The admin port of one Envoy; any method raises ServingError where it does not answer.

    Args:
        http: sends the requests.
        url: of the port.
    """

    def __init__(self, http: httpx.Client, url: str) -> None:
        self._http = http
        self.url = url

    def listening(self) -> str:
        """`host:port` of the listener; empty while there is none."""
        for listener in self._get("/listeners?format=json").json().get("listener_statuses", ()):
            address = listener["local_address"]["socket_address"]
            return f"{address['address']}:{address['port_value']}"
        return ""

    def route(self) -> Route:
        """The split that is in force."""
        configs = self._get("/config_dump?resource=dynamic_route_configs").json()["configs"]
        return read_route(configs[0]["route_config"])

    def knows_clusters(self, version: str) -> bool:
        """Whether the file of clusters was taken in this version."""
        return version in self._stats(r"^cluster_manager\.cds\.version_text$").values()

    def requests(self, backends: Iterable[str]) -> dict[str, Requests]:
        """What each backend was sent so far."""
        stats = self._stats(r"^cluster\..*\.upstream_rq_(completed|5xx)$")

        def count(name: str, stat: str) -> int:
            return int(stats.get(f"cluster.{name}.upstream_rq_{stat}", 0))

        return {
            name: Requests(
                count(name, "completed"), count(name, "5xx"), count(mirror_name(name), "completed")
            )
            for name in backends
        }

    def _stats(self, pattern: str) -> dict[str, Any]:
        stats = self._get(f"/stats?{httpx.QueryParams(format='json', filter=pattern)}").json()["stats"]
        return {stat["name"]: stat["value"] for stat in stats if "name" in stat}

    def _get(self, path: str) -> httpx.Response:
        try:
            return self._http.get(f"{self.url}{path}").raise_for_status()
        except httpx.HTTPError as error:
            raise ServingError(
                f"The proxy's admin port does not answer: {str(error) or type(error).__name__}."
            ) from None
