"""What the network policies let through: the rules of Kubernetes, applied to a table of connections.

A connection is open if the sender's egress and the receiver's ingress both allow it; a direction in which no
policy selects the pod is open. The test cluster's network does not enforce policies, so this does.
"""

from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

import pytest

from tests.manifests.built import overlay


@dataclass(frozen=True)
class Pod:
    labels: dict[str, str]
    namespace: str = "lockgate"
    namespace_labels: dict[str, str] = field(default_factory=dict)
    address: str = "10.4.0.9"


@dataclass(frozen=True)
class Host:
    address: str


STEP = Pod({"pipelines.kubeflow.org/v2_component": "true"})
WORKER = Pod({"batch.kubernetes.io/job-name": "flights-1-node-0", "app.kubernetes.io/component": "trainer"})
MODEL = Pod(
    {"serving.kserve.io/inferenceservice": "flights-1a2b3c4d", "app.kubernetes.io/component": "serving"}
)
CONTROLLER = Pod({"app.kubernetes.io/component": "controller"})
STRANGER = Pod({"app": "shop"}, "shop")
INTRUDER = Pod({"app": "shell"})
GATEWAY = Pod({"app": "traefik"}, "traefik", {"lockgate.dev/gateway": "true"})
PROMETHEUS = Pod({"app": "prometheus"}, "monitoring", {"lockgate.dev/monitoring": "true"})
DNS = Pod({"k8s-app": "kube-dns"}, "kube-system")
KFP = Pod({"app": "ml-pipeline"}, "kubeflow")
EMULATOR = Pod({"app": "gcs"}, "storage")
STORAGE, METADATA, METADATA_V1 = Host("142.250.1.1"), Host("169.254.169.254"), Host("169.254.169.252")
GIT = Host("140.82.121.3")
API, ADMIN_PAGE = Host("172.16.0.2"), Host("192.168.1.1")

OPEN = [
    *[(pod, DNS, 53) for pod in (STEP, WORKER, MODEL, CONTROLLER)],
    *[(pod, STORAGE, 443) for pod in (STEP, WORKER, MODEL)],
    *[(pod, METADATA, 80) for pod in (STEP, WORKER, MODEL)],
    *[(pod, METADATA_V1, 988) for pod in (STEP, WORKER, MODEL)],
    *[(pod, API, port) for pod in (STEP, CONTROLLER) for port in (443, 6443)],
    (STEP, KFP, 8888),
    (STEP, MODEL, 8080),
    (WORKER, WORKER, 2222),
    (WORKER, WORKER, 41234),
    (GATEWAY, MODEL, 8080),
    (GATEWAY, MODEL, 8081),
    (PROMETHEUS, MODEL, 8080),
    (PROMETHEUS, CONTROLLER, 8080),
    (CONTROLLER, MODEL, 8080),
    (CONTROLLER, GIT, 22),
    (CONTROLLER, GIT, 443),
]
CLOSED = [
    *[(STRANGER, pod, port) for pod in (STEP, WORKER, MODEL, CONTROLLER) for port in (2222, 8080, 8081)],
    *[(INTRUDER, pod, port) for pod in (STEP, WORKER, MODEL, CONTROLLER) for port in (2222, 8080, 8081)],
    (GATEWAY, WORKER, 2222),
    (GATEWAY, CONTROLLER, 8080),
    (PROMETHEUS, WORKER, 2222),
    (MODEL, MODEL, 8080),
    (MODEL, API, 443),
    (MODEL, API, 6443),
    (MODEL, STRANGER, 8080),
    (MODEL, ADMIN_PAGE, 443),
    (WORKER, API, 443),
    (WORKER, MODEL, 8080),
    (WORKER, KFP, 8888),
    (WORKER, ADMIN_PAGE, 80),
    (INTRUDER, API, 443),
    (INTRUDER, STRANGER, 443),
    (STEP, STRANGER, 8080),
    (STEP, STORAGE, 80),
    (CONTROLLER, METADATA, 80),
    (CONTROLLER, PROMETHEUS, 9090),
    (CONTROLLER, MODEL, 8081),
    (STEP, GIT, 22),
    (CONTROLLER, KFP, 8888),
]


@pytest.fixture(scope="module", params=("local", "staging", "production"))
def policies(request):
    return [o["spec"] for o in overlay(request.param) if o["kind"] == "NetworkPolicy"]


@pytest.mark.parametrize(("source", "target", "port"), OPEN)
def test_needed_connections_are_open(policies, source, target, port):
    assert is_open(policies, source, target, port)


@pytest.mark.parametrize(("source", "target", "port"), CLOSED)
def test_all_others_are_closed(policies, source, target, port):
    assert not is_open(policies, source, target, port)


def test_only_the_local_overlay_reaches_an_emulator():
    specs = {
        n: [o["spec"] for o in overlay(n) if o["kind"] == "NetworkPolicy"] for n in ("local", "production")
    }
    assert is_open(specs["local"], MODEL, EMULATOR, 4443)
    assert not is_open(specs["production"], MODEL, EMULATOR, 4443)


def is_open(policies, source, target, port):
    return allowed(policies, source, target, port, "Egress") and allowed(
        policies, target, source, port, "Ingress"
    )


def allowed(policies, pod, peer, port, direction):
    """Whether the policies on `pod` let it talk to `peer` in that direction; `port` is the receiver's."""
    if isinstance(pod, Host) or pod.namespace != "lockgate":
        return True
    mine = [p for p in policies if matches(p["podSelector"], pod.labels) and direction in p["policyTypes"]]
    rules = [rule for p in mine for rule in p.get(direction.lower(), [])]
    return not mine or any(
        fits(rule, peer, port, "to" if direction == "Egress" else "from") for rule in rules
    )


def fits(rule, peer, port, side):
    ports = rule.get("ports")
    if ports is not None and port not in [p["port"] for p in ports]:
        return False
    return side not in rule or any(is_peer(p, peer) for p in rule[side])


def is_peer(wanted, peer):
    if "ipBlock" in wanted:
        address = ip_address(peer.address)
        block = wanted["ipBlock"]
        return address in ip_network(block["cidr"]) and not any(
            address in ip_network(e) for e in block.get("except", [])
        )
    if isinstance(peer, Host):
        return False
    if "namespaceSelector" in wanted:
        labels = {**peer.namespace_labels, "kubernetes.io/metadata.name": peer.namespace}
        if not matches(wanted["namespaceSelector"], labels):
            return False
    elif peer.namespace != "lockgate":
        return False
    return matches(wanted.get("podSelector", {}), peer.labels)


def matches(selector, labels):
    for name, value in selector.get("matchLabels", {}).items():
        if labels.get(name) != value:
            return False
    for wish in selector.get("matchExpressions", []):
        has = wish["key"] in labels
        value = labels.get(wish["key"])
        if not {
            "Exists": has,
            "DoesNotExist": not has,
            "In": value in wish.get("values", []),
            "NotIn": value not in wish.get("values", []),
        }[wish["operator"]]:
            return False
    return True
