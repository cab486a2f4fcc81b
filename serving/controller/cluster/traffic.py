"""How requests are split: one HTTPRoute of the Gateway API."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from components.cluster.apply import Objects, collection
from components.cluster.connection import Absent, Object
from lockgate.errors import ClusterError
from lockgate.shipping.manifest import HTTP_PORT, route_of
from serving.controller.cluster.fleet import Tell
from serving.controller.cluster.managed import has, overwriters
from serving.controller.ports import Rollout, RouteSeen

log = logging.getLogger("lockgate.controller")
GATEWAYS = "gateway.networking.k8s.io/v1"
MIRROR, PERCENT = "HTTPRouteRequestMirror", "HTTPRouteRequestPercentageMirror"
# Of an HTTPRoute's spec, each replaced as a whole by whoever writes it.
PARTS = ("parentRefs", "hostnames", "rules")
# What a gateway can do changes with its version.
KNOWN_SECONDS = 300.0


class ClusterTraffic:
    """The HTTPRoute of one model.

    Args:
        objects: the connection to the cluster.
        owner: gives the ownerReference of the ModelRollout.
        tell: writes an event.
    """

    def __init__(self, objects: Objects, owner: Callable[[], Object], tell: Tell) -> None:
        self._objects, self._owner, self._tell = objects, owner, tell
        self._in_force: Mapping[str, int] = {}
        self._features: tuple[float, str, frozenset[str]] = (0.0, "", frozenset())

    def can_mirror(self, rollout: Rollout) -> bool:
        """Whether the gateway's class says that it copies requests, and a share of them if one is wanted."""
        gateway, now = rollout.spec.traffic.gateway, time.monotonic()
        since, known, features = self._features
        if known != gateway or now - since > KNOWN_SECONDS:
            features = self._read_features(gateway)
            self._features = now, gateway, features
        return MIRROR in features and (rollout.spec.mirror.percent == 100 or PERCENT in features)

    def read(self, rollout: Rollout) -> RouteSeen | None:
        """The weights that the gateway has taken; None where there is no route.

        Until it has taken what was written last, it splits as before; what is written counts as routed, too,
        for nothing may be deleted that gets requests in a moment.

        Raises:
            ClusterError: it cannot be read.
        """
        route = self._find(rollout)
        if route is None:
            return None
        written = weights(route)
        refused = refusal(route)
        if refused is None:
            self._in_force = written
        elif refused:
            self._tell("Warning", "RouteNotAccepted", f"the gateway does not serve the route: {refused}")
        return RouteSeen({**written, **self._in_force}, overwriters(route, PARTS))

    def write(self, rollout: Rollout, weights: Mapping[str, int], mirror: tuple[str, int] | None) -> None:
        """Splits the requests so from now on; writes nothing where the route says so already.

        Raises:
            DeliveryError: the cluster refuses the route.
            ClusterError: the API does not answer.
        """
        spec = rollout.spec
        wanted = route_of(
            rollout.model,
            rollout.namespace,
            spec.host,
            spec.traffic.gateway,
            weights,
            mirror=mirror,
            sticky=spec.sticky_header,
        )
        wanted["metadata"]["ownerReferences"] = [self._owner()]
        there = self._find(rollout)
        if there is not None and there["spec"] == wanted["spec"] and has(there, wanted):
            return
        if there is None and rollout.status.written is not None:
            self._tell("Warning", "RouteRepaired", "somebody deleted the route; it is made again")
        self._objects.impose(wanted)

    def _find(self, rollout: Rollout) -> Object | None:
        try:
            return self._objects.get(
                f"{collection(GATEWAYS, 'httproutes', rollout.namespace)}/{rollout.model}"
            )
        except Absent:
            return None

    def _read_features(self, gateway: str) -> frozenset[str]:
        namespace, name = gateway.split("/")
        try:
            found = self._objects.get(f"{collection(GATEWAYS, 'gateways', namespace)}/{name}")
            kind = found["spec"]["gatewayClassName"]
            served = self._objects.get(f"/apis/{GATEWAYS}/gatewayclasses/{kind}")
        except ClusterError as error:
            log.warning("what gateway %s can do is not known, so nothing is mirrored: %s", gateway, error)
            return frozenset()
        features = served.get("status", {}).get("supportedFeatures") or ()
        # Before version 1.1 of the Gateway API the features were plain names.
        return frozenset(f if isinstance(f, str) else f["name"] for f in features)


def weights(route: Mapping[str, Any]) -> dict[str, int]:
    """The share of each revision in the requests that no header sends elsewhere."""
    for rule in route["spec"].get("rules") or ():
        is_pinned = any(match.get("headers") for match in rule.get("matches") or ())
        backends = rule.get("backendRefs") or ()
        if not is_pinned and any(backend.get("port") == HTTP_PORT for backend in backends):
            return {b["name"].removesuffix("-predictor"): b.get("weight", 1) for b in backends}
    return {}


def refusal(route: Mapping[str, Any]) -> str | None:
    """Why the gateway does not serve the route; "" if it has not looked at it yet, None if it serves it."""
    generation = route["metadata"].get("generation", 0)
    wanted = [(parent.get("namespace"), parent["name"]) for parent in route["spec"].get("parentRefs") or ()]
    for parent in route.get("status", {}).get("parents") or ():
        reference = parent["parentRef"]
        if (reference.get("namespace"), reference["name"]) not in wanted:
            continue
        conditions = {c["type"]: c for c in parent.get("conditions") or ()}
        for kind in ("Accepted", "ResolvedRefs"):
            condition = conditions.get(kind, {})
            if condition.get("observedGeneration", 0) < generation:
                return ""
            if condition["status"] != "True":
                return f"{condition.get('reason')}: {condition.get('message')}"
        return None
    return ""
