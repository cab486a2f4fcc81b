"""Pushes by rollout on a real API server, with the rights of the push step alone; no controller runs here."""

import subprocess
from datetime import UTC, datetime
from typing import Any

import pytest

from components.cluster.apply import Objects
from components.cluster.connection import MERGE_PATCH
from components.cluster.rollout import RolloutDelivery
from lockgate.cli import rollout as cli
from lockgate.errors import DeliveryError
from lockgate.project import Cluster
from lockgate.rollout.resource import Spec
from lockgate.rollout.status import Rejected, Status
from lockgate.shipping.revision import Revision, revision_of
from serving.controller.cluster.wishes import ModelRollouts
from tests.cluster.kube import Kubectl
from tests.cluster.served import as_account
from tests.unit.revisions import STORE, card, project

FIRST, SECOND, THIRD = "0123456789abcdef" * 4, "f" * 64, "e" * 64


@pytest.fixture(scope="module")
def pushing(kubectl: Kubectl, namespace: str) -> Objects:
    """A connection with the rights of the push step."""
    try:
        kubectl("get", "crd", "modelrollouts.lockgate.dev")
    except subprocess.CalledProcessError:
        pytest.skip("the cluster does not know ModelRollouts")
    return as_account(kubectl, namespace, "lockgate-push")


@pytest.fixture
def model(kubectl: Kubectl, namespace: str) -> Any:
    """The name of a model; its ModelRollout is gone afterwards."""
    name = f"flights-{datetime.now(UTC):%H%M%S%f}"[:20]
    yield name
    kubectl("delete", "modelrollout,httproute", name, "-n", namespace, "--ignore-not-found")


def made(model: str, namespace: str, digest: str, **push: Any) -> Revision:
    written = project(**{"cpu": "100m", **push}).model_copy(update={"cluster": Cluster(namespace=namespace)})
    return revision_of(card(digest, name=model), written, STORE, {"distance": 200.5, "carrier": None})


def there(kubectl: Kubectl, model: str, namespace: str) -> dict[str, Any]:
    return kubectl.get("modelrollout", model, namespace=namespace)


def digests(thing: dict[str, Any]) -> tuple[str, str | None]:
    spec = Spec.model_validate(thing["spec"])
    return spec.stable.digest, spec.candidate.digest if spec.candidate else None


def test_the_first_push_makes_the_object_and_the_next_sets_its_candidate(
    kubectl: Kubectl, namespace: str, pushing: Objects, model: str
) -> None:
    delivery = RolloutDelivery(pushing)
    assert "made" in delivery.deliver(made(model, namespace, FIRST))
    said = delivery.deliver(made(model, namespace, SECOND))
    assert said.startswith(f"rollout of {model}-ffffffff begun")
    found = there(kubectl, model, namespace)
    assert digests(found) == (FIRST, SECOND)
    wanted = made(model, namespace, FIRST).spec
    assert Spec.model_validate(found["spec"]).policy == wanted.policy, "as the server has filled it in"


def test_the_same_push_again_changes_no_resource_version(
    kubectl: Kubectl, namespace: str, pushing: Objects, model: str
) -> None:
    delivery = RolloutDelivery(pushing)
    for digest in (FIRST, SECOND):
        delivery.deliver(made(model, namespace, digest))
    before = there(kubectl, model, namespace)["metadata"]["resourceVersion"]
    for digest in (FIRST, SECOND):
        delivery.deliver(made(model, namespace, digest))
    assert there(kubectl, model, namespace)["metadata"]["resourceVersion"] == before


def test_a_newer_candidate_leaves_nothing_of_the_one_before(
    kubectl: Kubectl, namespace: str, pushing: Objects, model: str
) -> None:
    delivery = RolloutDelivery(pushing)
    for digest in (FIRST, SECOND, THIRD):
        delivery.deliver(made(model, namespace, digest))
    found = Spec.model_validate(there(kubectl, model, namespace)["spec"])
    assert found.candidate == made(model, namespace, THIRD).spec.stable
    assert found.stable == made(model, namespace, FIRST).spec.stable


def test_a_directly_pushed_revision_becomes_the_stable_one(
    kubectl: Kubectl, namespace: str, pushing: Objects, model: str
) -> None:
    before = made(model, namespace, FIRST, strategy="replace")
    pushing.apply(before.service)
    pushing.apply(before.route)
    said = RolloutDelivery(pushing).deliver(made(model, namespace, SECOND))
    assert f"with {before.name} as its stable revision" in said
    found = Spec.model_validate(there(kubectl, model, namespace)["spec"])
    assert (found.stable.digest, found.candidate and found.candidate.digest) == (FIRST, SECOND)
    example = {"example": found.stable.example}
    assert found.stable == before.spec.stable.model_copy(update=example)
    kubectl("delete", "inferenceservice", before.name, "-n", namespace, "--wait=false")


def test_what_was_rolled_back_is_refused_until_somebody_asks_for_it(
    kubectl: Kubectl, namespace: str, pushing: Objects, model: str
) -> None:
    delivery = RolloutDelivery(pushing)
    delivery.deliver(made(model, namespace, FIRST))
    rejected = Rejected(digest=SECOND, reason="Errors", message="9 % of the requests failed")
    status = Status(rejected=rejected).model_dump(mode="json", by_alias=True)
    people = ModelRollouts(Objects.connect(), namespace)
    path = f"/apis/lockgate.dev/v1alpha1/namespaces/{namespace}/modelrollouts/{model}/status"
    Objects.connect().patch(path, {"status": status}, MERGE_PATCH)
    with pytest.raises(DeliveryError, match="rolled back before, Errors: 9 % of the requests failed"):
        delivery.deliver(made(model, namespace, SECOND))
    cli.retry(people, model, None)
    delivery.deliver(made(model, namespace, SECOND))
    assert digests(there(kubectl, model, namespace)) == (FIRST, SECOND)


def test_the_push_step_may_not_write_the_status_nor_delete(
    kubectl: Kubectl, namespace: str, pushing: Objects
) -> None:
    asked = ("--as", f"system:serviceaccount:{namespace}:lockgate-push", "-n", namespace)
    for words in (("delete",), ("patch", "--subresource=status")):
        with pytest.raises(subprocess.CalledProcessError):
            kubectl("auth", "can-i", *words, "modelrollouts.lockgate.dev", *asked)
    assert kubectl("auth", "can-i", "patch", "modelrollouts.lockgate.dev", *asked).strip() == "yes"
