"""The controller's Deployment: two pods with the rights of its account, one leads, the other takes over."""

import urllib.request

from lockgate.rollout.resource import ModelRevision, Spec
from lockgate.shipping.rollout import model_rollout
from tests.cluster.kube import wait_for
from tests.cluster.manifests.objects import moved

DIGEST = "0123456789abcdef" * 4
SELECTED = "app.kubernetes.io/component=controller"


def test_two_pods_run_one_leads_and_the_other_takes_over(kubectl, base, place):
    kubectl.apply(*(moved(o, place) for o in base if o["kind"] == "Deployment"))
    kubectl("rollout", "status", "-n", place, "deployment/lockgate-controller", "--timeout=120s")
    stable = ModelRevision(digest=DIGEST, storage_uri=f"gs://nowhere/models/{DIGEST}", replicas=1)
    kubectl.apply(model_rollout("flights", place, Spec(host="flights.test", stable=stable)))

    def looked_at() -> bool:
        status = kubectl.get("modelrollout", "flights", namespace=place).get("status", {})
        return status.get("phase") == "Preparing" and status.get("observedGeneration") == 1

    wait_for(looked_at, 60, "the first look")
    service = kubectl.get("inferenceservice", "flights-01234567", namespace=place)
    assert service["metadata"]["ownerReferences"][0]["name"] == "flights"
    first = leader(kubectl, place)
    pods = {p["metadata"]["name"]: p for p in kubectl.get("pods", namespace=place, labels=SELECTED)["items"]}
    assert len(pods) == 2
    page = f"http://{pods[first]['status']['podIP']}:8080/metrics"
    with urllib.request.urlopen(page, timeout=5) as answer:
        assert 'phase="Preparing"} 1.0' in answer.read().decode()
    kubectl("delete", "pod", first, "-n", place, "--grace-period=0", "--force")
    wait_for(lambda: leader(kubectl, place) not in ("", first), 60, "another leader")
    kubectl("delete", "modelrollout", "flights", "-n", place)
    wait_for(lambda: not kubectl.get("inferenceservice", namespace=place)["items"], 60, "the revision's end")
    said = kubectl("logs", "-n", place, "-l", SELECTED, "--tail=-1")
    assert "forbidden" not in said.lower(), said


def leader(kubectl, namespace: str) -> str:
    """The pod that leads; none for a moment after one was lost."""
    held = kubectl.get("lease", "lockgate-controller", namespace=namespace)["spec"]
    return (held.get("holderIdentity") or "").rpartition("_")[0]
