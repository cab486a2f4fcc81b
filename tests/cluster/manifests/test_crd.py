"""ModelRollouts on a real API server: defaults, rules, columns, scale; what it returns is what was meant."""

import json
import subprocess
import uuid
from collections.abc import Iterator

import pytest
import yaml

from lockgate.rollout.resource import API_VERSION, KIND, Spec
from lockgate.rollout.status import Status
from tests.cluster.kube import Kubectl, wait_for
from tests.manifests.rollouts import CANDIDATE, FORBIDDEN, REFUSED, STABLE, TAKEN, Document, revision, spec
from tests.rollout.world import World, short

STRICT = ("create", "--dry-run=server", "--validate=strict", "-o", "json", "-f", "-")


def rollout(given: Document, name: str = "flights") -> Document:
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": given}


@pytest.fixture(scope="module", autouse=True)
def _known(kubectl: Kubectl, namespace: str) -> None:
    """The server has read the definition's rules; some moments after it is Established."""
    bad = rollout(FORBIDDEN[0][0])
    wait_for(lambda: "must end with the digest" in said_against(kubectl, namespace, bad), 30, "the rules")


@pytest.fixture
def model(kubectl: Kubectl, namespace: str) -> Iterator[str]:
    """The name of a ModelRollout with a candidate, which is gone afterwards."""
    name = f"flights-{uuid.uuid4().hex[:6]}"
    kubectl.apply(rollout(spec(candidate=revision(CANDIDATE)), name), namespace=namespace)
    yield name
    kubectl("delete", "modelrollout", name, "-n", namespace)


def said_against(kubectl: Kubectl, namespace: str, thing: Document) -> str:
    """Why the server refuses an object; empty where it does not."""
    try:
        kubectl(*STRICT, "-n", namespace, stdin=json.dumps(thing))
    except subprocess.CalledProcessError as error:
        return error.stderr
    return ""


def patched(kubectl: Kubectl, namespace: str, name: str, change: Document, *words: str) -> Document:
    asked = ("patch", "modelrollout", name, "-n", namespace, "--type=merge", "-o", "json", *words)
    return json.loads(kubectl(*asked, "-p", json.dumps(change)))


@pytest.mark.parametrize("given", TAKEN, ids=str)
def test_what_it_takes_comes_back_with_every_default(kubectl, namespace, given):
    there = json.loads(kubectl(*STRICT, "-n", namespace, stdin=json.dumps(rollout(given))))["spec"]
    read = Spec.model_validate(there)
    assert read == Spec.model_validate(given)
    assert there.keys() >= {"steps", "mirror", "analysis", "traffic", "stickyHeader", "paused"}
    assert there["stable"].get("example", {}) == given["stable"].get("example", {}), "nulls are values"
    assert Spec.model_validate(read.model_dump(mode="json", by_alias=True)) == read


@pytest.mark.parametrize("given", REFUSED, ids=str)
def test_it_refuses_what_the_models_refuse(kubectl, namespace, given):
    assert said_against(kubectl, namespace, rollout(given))


@pytest.mark.parametrize(("given", "sentence"), FORBIDDEN, ids=str)
def test_its_rules_refuse_what_the_models_refuse_and_say_why(kubectl, namespace, given, sentence):
    assert sentence in said_against(kubectl, namespace, rollout(given))


@pytest.mark.parametrize("name", ["1flights", "flights.late", "f" * 40])
def test_the_name_must_make_names_of_revisions(kubectl, namespace, name):
    assert "a letter first" in said_against(kubectl, namespace, rollout(spec(), name))
    assert not said_against(kubectl, namespace, rollout(spec(), "f" * 39))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"stable": revision(STABLE, "another")}),
        ({}, {"candidate": revision(STABLE, "another")}),
        ({"candidate": revision(CANDIDATE)}, {"candidate": revision(CANDIDATE, "another")}),
        ({"candidate": revision(CANDIDATE)}, {"stable": revision(CANDIDATE, "another"), "candidate": None}),
    ],
)
def test_a_revision_never_changes(kubectl, namespace, model, before, after):
    patched(kubectl, namespace, model, {"spec": {"candidate": None, **before}})
    with pytest.raises(subprocess.CalledProcessError, match=r"never changes|have one digest"):
        patched(kubectl, namespace, model, {"spec": after})
    other = revision("c" * 64, "another")
    patched(kubectl, namespace, model, {"spec": {"stable": other, "candidate": None}})


def test_a_promotion_is_a_change_of_the_spec_and_a_status_is_none(kubectl, namespace, model):
    status = {"status": Status(phase="Soaking").model_dump(mode="json", by_alias=True)}
    first = patched(kubectl, namespace, model, status, "--subresource=status")
    assert first["metadata"]["generation"] == 1
    assert first["status"]["phase"] == "Soaking"
    promotion = {"spec": {"stable": revision(CANDIDATE), "candidate": None}, "status": {"phase": "Error"}}
    second = patched(kubectl, namespace, model, promotion)
    assert second["metadata"]["generation"] == 2
    assert "candidate" not in second["spec"]
    assert second["status"]["phase"] == "Soaking"


def test_every_status_of_a_whole_rollout_is_kept_as_it_is(kubectl, namespace, model):
    world = World(short()).begin()
    kept = []
    while world.status.phase != "Promoted":
        world.tick()
        status = {"status": world.status.model_dump(mode="json", by_alias=True)}
        there = patched(kubectl, namespace, model, status, "--subresource=status")
        # A merge patch leaves the names of what is retired no longer.
        kept.append(Status.model_validate(there["status"]) == world.status)
    assert all(kept)
    assert len(kept) > 5


def test_people_see_a_table_and_the_story(kubectl, namespace, model):
    status = Status(
        phase="Stepping", stable_revision="flights-aaaaaaaa", candidate_revision="flights-bbbbbbbb", step=1,
        step_text="2/5", weight=5, observed="4.9 (4.1 to 5.8)", reason="NotEnoughEvidence",
        message="Wait a little.",
    )  # fmt: skip
    written = {"status": status.model_dump(mode="json", by_alias=True)}
    patched(kubectl, namespace, model, written, "--subresource=status")
    head, row = kubectl("get", "mr", model, "-n", namespace).splitlines()
    assert head.split() == ["NAME", "STABLE", "CANDIDATE", "STEP", "WANTED", "OBSERVED", "PHASE", "AGE"]
    assert row.split()[:-1] == [
        model, "flights-aaaaaaaa", "flights-bbbbbbbb", "2/5", "5", "4.9", "(4.1", "to", "5.8)", "Stepping"
    ]  # fmt: skip
    wide = kubectl("get", "modelrollouts", model, "-n", namespace, "-o", "wide")
    assert "NotEnoughEvidence" in wide
    assert "Wait a little." in wide
    assert f"modelrollout.lockgate.dev/{model}" in kubectl("get", "lockgate", "-n", namespace, "-o", "name")
    assert "Wait a little." in kubectl("describe", "modelrollout", model, "-n", namespace)
    assert "Chance to roll back" in kubectl("explain", "modelrollout.spec.analysis.alpha")


def test_kubectl_scale_sets_the_stable_s_replicas(kubectl, namespace, model):
    kubectl("scale", "modelrollout", model, "-n", namespace, "--replicas=3")
    there = Spec.model_validate(kubectl.get("modelrollout", model, namespace=namespace)["spec"])
    assert there.stable.replicas == 3
    selector = "serving.kserve.io/inferenceservice=flights-aaaaaaaa"
    written = {"status": Status(replicas=2, selector=selector).model_dump(mode="json", by_alias=True)}
    patched(kubectl, namespace, model, written, "--subresource=status")
    scale = json.loads(
        kubectl("get", "--subresource=scale", "modelrollout", model, "-n", namespace, "-o", "json")
    )
    assert (scale["spec"]["replicas"], scale["status"]) == (3, {"replicas": 2, "selector": selector})
    with pytest.raises(subprocess.CalledProcessError, match="greater than or equal to 1"):
        kubectl("scale", "modelrollout", model, "-n", namespace, "--replicas=0")


def test_two_who_apply_own_what_they_wrote(kubectl, namespace, model):
    """A push changes the candidate, and leaves what somebody else has scaled and paused."""
    kubectl("scale", "modelrollout", model, "-n", namespace, "--replicas=4")
    patched(kubectl, namespace, model, {"spec": {"paused": True}})
    newer = rollout(spec(candidate=revision("c" * 64)), model)
    kubectl("apply", "--server-side", "-f", "-", "-n", namespace, stdin=yaml.safe_dump(newer))
    there = Spec.model_validate(kubectl.get("modelrollout", model, namespace=namespace)["spec"])
    assert (there.stable.replicas, there.paused) == (4, True)
    assert there.candidate.digest == "c" * 64
