"""All ports of one model on Kubernetes."""

from collections.abc import Callable
from typing import Any, cast

from components.cluster.apply import Objects
from serving.controller.cluster.book import ClusterBook
from serving.controller.cluster.counters import ClusterServers
from serving.controller.cluster.fleet import ClusterFleet
from serving.controller.cluster.knative import Knative
from serving.controller.cluster.store import ClusterStore
from serving.controller.cluster.traffic import ClusterTraffic
from serving.controller.labels import LabelSource
from serving.controller.ports import Fleet, Ports, Rollout, Traffic
from serving.controller.scrape import ScrapedCounters
from serving.controller.writes import Gate, Gated, gated


class Via:
    """The port of whoever splits this rollout's requests; each of its methods gets the rollout first.

    Args:
        gateway: the port where a gateway does.
        knative: the port where Knative does.
    """

    def __init__(self, gateway: Any, knative: Any) -> None:
        self._ports = {"gateway": gateway, "knative": knative}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """The method of the right one."""

        def call(rollout: Rollout, *given: Any, **named: Any) -> Any:
            return getattr(self._ports[rollout.spec.traffic.via], name)(rollout, *given, **named)

        return call


def ports_of(objects: Objects, namespace: str, model: str, gate: Gate) -> Ports:
    """The ports of a model.

    Args:
        objects: the connection to the cluster.
        namespace: of the model.
        model: its name.
        gate: gets every write; an event that tells of what was read is one, too.
    """
    store = ClusterStore(objects, namespace, model)
    tell = Gated(store, gate).tell
    knative = Knative(objects, store.owner)
    fleet = Via(ClusterFleet(objects, store.owner, tell), knative)
    traffic = Via(ClusterTraffic(objects, store.owner, tell), knative)
    servers = Via(ClusterServers(objects), knative)
    ports = Ports(
        store=store,
        book=ClusterBook(objects),
        fleet=cast(Fleet, fleet),
        traffic=cast(Traffic, traffic),
        counters=ScrapedCounters(servers.servers, LabelSource().losses),
    )
    return gated(ports, gate)


def fail(ports: Ports, reason: str, sentence: str) -> None:
    """Says in the status of a model with these ports that looking failed, as a word and a sentence.

    Raises:
        ClusterError: it cannot be written.
    """
    cast(ClusterStore, ports.store).fail(reason, sentence)
