"""All ports of one model on Kubernetes."""

from typing import cast

from components.cluster.apply import Objects
from serving.controller.cluster.book import ClusterBook
from serving.controller.cluster.counters import ClusterServers
from serving.controller.cluster.fleet import ClusterFleet
from serving.controller.cluster.store import ClusterStore
from serving.controller.cluster.traffic import ClusterTraffic
from serving.controller.labels import LabelSource
from serving.controller.ports import Ports
from serving.controller.scrape import ScrapedCounters
from serving.controller.writes import Gate, Gated, gated


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
    ports = Ports(
        store=store,
        book=ClusterBook(objects),
        fleet=ClusterFleet(objects, store.owner, tell),
        traffic=ClusterTraffic(objects, store.owner, tell),
        counters=ScrapedCounters(ClusterServers(objects), LabelSource().losses),
    )
    return gated(ports, gate)


def fail(ports: Ports, reason: str, sentence: str) -> None:
    """Says in the status of a model with these ports that looking failed, as a word and a sentence.

    Raises:
        ClusterError: it cannot be written.
    """
    cast(ClusterStore, ports.store).fail(reason, sentence)
