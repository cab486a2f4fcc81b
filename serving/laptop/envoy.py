"""What Envoy is told, as JSON: how it starts, where the model servers are, how requests are split."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Object = dict[str, Any]

HOST = "127.0.0.1"
ROUTES = "models"
SPLIT = "split"
STICKY = "x-lockgate-revision"
# The worker that splits the requests answers here itself, with the version of the route that it goes by.
VERSION_PATH = "/lockgate/route"
PREFIXES = ("/v1/models/", "/v2/")
# As much as the model server takes: a longer body would not be mirrored.
BODY_BYTES = 8 << 20
SECONDS = "60s"
# The model server keeps an idle connection for 65 s; the one who closes it must not be the server, or a
# request that was just sent is lost.
IDLE = "30s"
TYPES = "type.googleapis.com/envoy"
HTTP = f"{TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = f"{TYPES}.extensions.filters.http.router.v3.Router"
UPSTREAM = f"{TYPES}.extensions.upstreams.http.v3.HttpProtocolOptions"


@dataclass(frozen=True)
class Route:
    """How requests are split: weights by backend; copies of `mirror_percent` of them go to `mirror_to`."""

    weights: Mapping[str, int]
    mirror_to: str | None = None
    mirror_percent: int = 0


def bootstrap(clusters: Path, routes: Path) -> Object:
    """How Envoy starts: free ports of 127.0.0.1, and two files that it watches."""
    http = {
        "@type": HTTP,
        "stat_prefix": "proxy",
        "server_header_transformation": "PASS_THROUGH",
        "rds": {"route_config_name": ROUTES, "config_source": _watched(routes)},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": ROUTER, "suppress_envoy_headers": True},
            }
        ],
    }
    listener = {
        "name": "requests",
        "address": _address(HOST, 0),
        "enable_reuse_port": False,  # or another process may take a part of the connections
        "per_connection_buffer_limit_bytes": BODY_BYTES,
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": http}]}
        ],
    }
    return {
        "node": {"id": "lockgate", "cluster": "lockgate"},
        "admin": {"address": _address(HOST, 0)},
        "dynamic_resources": {"cds_config": _watched(clusters)},
        "static_resources": {"listeners": [listener]},
    }


def cluster_file(version: int, backends: Mapping[str, str]) -> Object:
    """The model servers: `host:port` by name. Copies have clusters of their own, and so their own counts."""
    every = [
        (name, address) for backend, address in backends.items() for name in (backend, mirror_name(backend))
    ]
    return _response(version, "cluster.v3.Cluster", [_cluster(*each) for each in every])


def route_file(version: int, route: Route) -> Object:
    """The split. With several backends, a request that names one of them in the sticky header goes there."""
    taking = {name: weight for name, weight in route.weights.items() if weight > 0}
    pinned = [
        {
            "match": {
                "prefix": prefix,
                "headers": [{"name": STICKY, "string_match": {"exact": revision_digits(name)}}],
            },
            "route": _weighted({name: 1}),
        }
        for name in (taking if len(taking) > 1 else ())
        for prefix in PREFIXES
    ]
    every = [
        {"name": SPLIT, "match": {"prefix": prefix}, "route": {**_weighted(taking), **_mirror(route)}}
        for prefix in (PREFIXES if taking else ())
    ]
    version_route = {
        "match": {"path": VERSION_PATH},
        "direct_response": {"status": 200, "body": {"inline_string": str(version)}},
    }
    host = {
        "name": ROUTES,
        "domains": ["*"],
        "routes": [version_route, *pinned, *every],
        "per_request_buffer_limit_bytes": BODY_BYTES,
    }
    return _response(version, "route.v3.RouteConfiguration", [{"name": ROUTES, "virtual_hosts": [host]}])


def read_route(configuration: Object) -> Route:
    """The split in a RouteConfiguration that Envoy dumps."""
    for each in configuration["virtual_hosts"][0]["routes"]:
        if each.get("name") == SPLIT:
            clusters = each["route"]["weighted_clusters"]["clusters"]
            weights = {cluster["name"]: int(cluster["weight"]) for cluster in clusters}
            for policy in each["route"].get("request_mirror_policies", ()):
                percent = policy["runtime_fraction"]["default_value"].get("numerator", 0)
                return Route(weights, policy["cluster"].removesuffix(mirror_name("")), int(percent))
            return Route(weights)
    return Route({})


def mirror_name(backend: str) -> str:
    """The name of the cluster that takes a backend's copies."""
    return f"{backend}/mirror"


def revision_digits(backend: str) -> str:
    """The first eight digits of the digest, with which a revision's name ends."""
    return backend.rsplit("-", 1)[-1]


def _weighted(weights: Mapping[str, int]) -> Object:
    clusters = [
        {
            "name": name,
            "weight": weight,
            # Also where no server answers and Envoy says so: a failure is counted against its revision.
            "response_headers_to_add": [
                {"header": {"key": STICKY, "value": revision_digits(name)}, "append_action": "ADD_IF_ABSENT"}
            ],
        }
        for name, weight in weights.items()
    ]
    return {"weighted_clusters": {"clusters": clusters}, "timeout": SECONDS}


def _mirror(route: Route) -> Object:
    if route.mirror_to is None or not route.mirror_percent:
        return {}
    policy = {
        "cluster": mirror_name(route.mirror_to),
        "runtime_fraction": {"default_value": {"numerator": route.mirror_percent, "denominator": "HUNDRED"}},
        "disable_shadow_host_suffix_append": True,
    }
    return {"request_mirror_policies": [policy]}


def _cluster(name: str, address: str) -> Object:
    host, _, port = address.rpartition(":")
    endpoint = {"endpoint": {"address": _address(host, int(port))}}
    return {
        "name": name,
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": UPSTREAM,
                "explicit_http_config": {"http_protocol_options": {}},
                "common_http_protocol_options": {"idle_timeout": IDLE},
            }
        },
    }


def _address(host: str, port: int) -> Object:
    return {"socket_address": {"address": host, "port_value": port}}


def _watched(path: Path) -> Object:
    return {"resource_api_version": "V3", "path_config_source": {"path": str(path)}}


def _response(version: int, kind: str, resources: list[Object]) -> Object:
    typed = [{"@type": f"{TYPES}.config.{kind}", **resource} for resource in resources]
    return {"version_info": str(version), "resources": typed}
