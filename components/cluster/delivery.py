"""Delivery to a cluster: the revision first, its route when every pod has predicted, nothing removed."""

import time

from components.cluster.apply import Objects, Overtaken, collection, path_of
from components.cluster.connection import Object
from components.cluster.probe import addresses, refusal
from components.cluster.readiness import Readiness, readiness
from lockgate.errors import DeliveryError
from lockgate.shipping.manifest import (
    DIGEST_ANNOTATION,
    MODEL_LABEL,
    REVISION_LABEL,
    RUNTIME,
    routed,
)
from lockgate.shipping.names import service_name
from lockgate.shipping.revision import Revision

POLL = 2.0
# So long a revision must go on being ready before traffic moves: its endpoints reach the gateway meanwhile.
SETTLED = 5.0
ROUTE_SECONDS = 60.0
MOVES = 5
MOVE_PAUSE = 0.5
RUNTIME_PATH = f"/apis/serving.kserve.io/v1alpha1/clusterservingruntimes/{RUNTIME}"


class ClusterDelivery:
    """Applies a revision's InferenceService, waits until it serves, then moves the model's route to it.

    The revision that had the traffic stays as it is, so that requests in flight end and the way back is one
    write. A revision that does not become ready never gets traffic.

    Args:
        ready_seconds: how long its pods may take.
        objects: the connection to the cluster.
    """

    def __init__(self, ready_seconds: float, objects: Objects) -> None:
        self._seconds, self._objects = ready_seconds, objects

    def deliver(self, revision: Revision) -> str:
        """Brings the traffic of the model to the revision; says so, and which older ones have none.

        Raises:
            DeliveryError: the cluster refuses an object, or the pods do not serve in time; with their words.
        """
        self._check_runtime()
        self._check_name(revision)
        before = self._routed(revision)
        # That the route cannot be moved should be known before pods are made for it.
        self._objects.apply(revision.route, is_trial=True)
        self._objects.apply(revision.service)
        self._wait_for_pods(revision)
        moved = self._move(revision, before)
        self._wait_for_route(revision, moved["metadata"]["generation"])
        return self._sentence(revision, before)

    def _check_runtime(self) -> None:
        if self._objects.find(RUNTIME_PATH) is None:
            raise DeliveryError(
                f"The cluster has no ClusterServingRuntime {RUNTIME}.",
                "It says how KServe runs Lockgate's models.",
                "Apply Lockgate's manifests to the cluster, then run the push step again.",
            )

    def _check_name(self, revision: Revision) -> None:
        """A revision's name has eight digits of its digest, and what it names never changes."""
        name, namespace = revision.name, revision.namespace
        there = self._objects.find(path_of(revision.service)) or {"metadata": {}}
        digest = there["metadata"].get("annotations", {}).get(DIGEST_ANNOTATION, revision.digest)
        if digest != revision.digest:
            raise DeliveryError(
                f"InferenceService {name} is there for another model, of digest {digest}.",
                "A revision is never changed into another.",
                f"If it has no traffic, delete it: `kubectl -n {namespace} delete inferenceservice {name}`; "
                "then run the push step again.",
            )

    def _move(self, revision: Revision, before: tuple[str, ...]) -> Object:
        """Applies the route to what was read of it, and to nothing that another push has written since."""
        for attempt in range(MOVES):
            route = self._objects.find(path_of(revision.route))
            now = routed(route) if route is not None else ()
            if now not in (before, (revision.name,)):
                raise DeliveryError(
                    f"While revision {revision.name} started, another push gave the traffic to "
                    f"{', '.join(now) or 'no revision'}.",
                    "A push moves the traffic from the revision that had it when the push began.",
                    "Run the push step again if this model is to have the traffic.",
                )
            metadata = dict(revision.route["metadata"])
            if route is not None:
                metadata["resourceVersion"] = route["metadata"]["resourceVersion"]
            try:
                return self._objects.apply({**revision.route, "metadata": metadata})
            except Overtaken:
                # The gateway writes its status there, too: that is no other push.
                if attempt + 1 == MOVES:
                    raise
            time.sleep(MOVE_PAUSE)
        raise AssertionError("the last attempt returns or raises")

    def _routed(self, revision: Revision) -> tuple[str, ...]:
        route = self._objects.find(path_of(revision.route))
        return routed(route) if route is not None else ()

    def _wait_for_pods(self, revision: Revision) -> None:
        deadline = time.monotonic() + self._seconds
        ready_since: float | None = None
        while True:
            found = self._look(revision)
            if found.is_ready:
                ready_since = ready_since or time.monotonic()
                if time.monotonic() - ready_since >= SETTLED:
                    return
            else:
                ready_since = None
            if found.is_hopeless or (not found.is_ready and time.monotonic() > deadline):
                raise self._not_ready(revision, found)
            time.sleep(POLL)

    def _look(self, revision: Revision) -> Readiness:
        namespace = revision.namespace
        service = self._objects.find(path_of(revision.service)) or {}
        name = service_name(revision.name)
        deployment = self._objects.find(f"{collection('apps/v1', 'deployments', namespace)}/{name}")
        pods = self._objects.items(collection("v1", "pods", namespace), f"{REVISION_LABEL}={revision.name}")
        found = readiness(revision.address, revision.replicas, service, deployment, pods)
        if not found.is_ready:
            return found
        slices = self._objects.items(
            collection("discovery.k8s.io/v1", "endpointslices", namespace),
            f"kubernetes.io/service-name={name}",
        )
        urls = addresses(slices)
        if len(urls) < revision.replicas:
            return Readiness(False, f"{len(urls)} of {revision.replicas} pods are behind its Service")
        said = refusal(revision.model, revision.row, urls)
        return Readiness(not said, said)

    def _not_ready(self, revision: Revision, found: Readiness) -> DeliveryError:
        after = "and waiting will not mend it" if found.is_hopeless else f"after {self._seconds:.0f} s"
        return DeliveryError(
            f"Revision {revision.name} does not serve, {after}: {found.reason}.",
            "Traffic moves to a revision when every pod of it has predicted; it stays where it was.",
            f"Look at it with `kubectl -n {revision.namespace} describe inferenceservice {revision.name}`, "
            "mend the cause and run the push step again, or delete it.",
        )

    def _wait_for_route(self, revision: Revision, generation: int) -> None:
        deadline = time.monotonic() + ROUTE_SECONDS
        while (refused := self._route_refusal(revision, generation)) is not None:
            if time.monotonic() > deadline:
                raise DeliveryError(
                    f"The gateway took no route {revision.model} in {ROUTE_SECONDS:.0f} s: {refused}.",
                    "It must accept the route and find the Services that it names.",
                    f"Check push.gateway and push.host: `kubectl -n {revision.namespace} describe httproute "
                    f"{revision.model}`.",
                )
            time.sleep(POLL)

    def _route_refusal(self, revision: Revision, generation: int) -> str | None:
        """Why the gateway does not serve this generation of the route; None when it does."""
        route = self._objects.find(path_of(revision.route)) or {}
        wanted = revision.route["spec"]["parentRefs"][0]
        for parent in route.get("status", {}).get("parents", ()):
            reference = parent["parentRef"]
            if (reference.get("namespace"), reference["name"]) != (wanted["namespace"], wanted["name"]):
                continue
            conditions = {c["type"]: c for c in parent.get("conditions", ())}
            for kind in ("Accepted", "ResolvedRefs"):
                condition = conditions.get(kind, {})
                if condition.get("observedGeneration", 0) < generation:
                    return "it has not looked at it yet"
                if condition["status"] != "True":
                    return f"{condition.get('reason')}: {condition.get('message')}"
            return None
        return f"no gateway {wanted['namespace']}/{wanted['name']} has answered"

    def _sentence(self, revision: Revision, before: tuple[str, ...]) -> str:
        said = f"revision {revision.name} serves {revision.host} with {revision.replicas} pods"
        if before == (revision.name,):
            said += ", as before"
        listed = self._objects.items(
            collection("serving.kserve.io/v1beta1", "inferenceservices", revision.namespace),
            f"{MODEL_LABEL}={revision.model}",
        )
        idle = sorted({o["metadata"]["name"] for o in listed} - {revision.name, *before})
        if idle:
            said += f"; without traffic, to be deleted when you like: {', '.join(idle)}"
        return said
