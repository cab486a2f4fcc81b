"""Delivery by rollout: what a push says of a ModelRollout, on a cluster's objects and in Git."""

import copy
from typing import Any

import pytest
import yaml

from components.cluster import rollout as delivery
from components.cluster.apply import Objects
from components.cluster.connection import Absent, Changed, Taken
from components.cluster.git import GitDelivery, GitRolloutDelivery
from components.cluster.rollout import RolloutDelivery
from lockgate.errors import DeliveryError
from lockgate.evaluation.record import Difference
from lockgate.project import Rollout
from lockgate.rollout.policy import Analysis, Step
from lockgate.rollout.resource import Spec
from lockgate.rollout.status import Rejected, Status
from lockgate.shipping.gitrollout import HEADER
from lockgate.shipping.manifest import render
from lockgate.shipping.revision import Revision, revision_of
from lockgate.shipping.rollout import adopted, model_rollout, pushed_onto
from tests.unit.bare import commits, file, files, last_message, made, own_configuration
from tests.unit.revisions import DIGEST, STORE, card, project, revision

OTHER, THIRD = "f" * 64, "e" * 64
ROLLOUTS = "/apis/lockgate.dev/v1alpha1/namespaces/serving/modelrollouts"
ROUTE = "/apis/gateway.networking.k8s.io/v1/namespaces/serving/httproutes/flights"
SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/serving/inferenceservices"


class Cluster(Objects):
    """Objects by path, with the API server's check of resourceVersion; `others` write after a read."""

    def __init__(self, *, is_installed: bool = True, others: Any = ()) -> None:
        super().__init__(None)
        self.there: dict[str, dict[str, Any]] = {}
        self.is_installed, self.others, self.writes = is_installed, list(others), 0

    def find(self, path: str) -> dict[str, Any] | None:
        read = copy.deepcopy(self.there.get(path))
        if path.startswith(ROLLOUTS) and self.others:
            self.others.pop(0)(self)
        return read

    def create(self, path: str, body: Any) -> dict[str, Any]:
        if not self.is_installed:
            raise Absent("no such kind")
        name = f"{path}/{body['metadata']['name']}"
        if name in self.there:
            raise Taken("it is there")
        return self.put(name, body)

    def patch(self, path: str, patch: Any, kind: str = "") -> dict[str, Any]:
        assert kind == "application/json-patch+json"
        found = copy.deepcopy(self.there[path])
        for operation in patch:
            *parents, key = operation["path"].strip("/").split("/")
            place = found
            for parent in parents:
                place = place[parent]
            if operation["op"] == "remove":
                del place[key]
            elif key == "resourceVersion" and place[key] != operation["value"]:
                raise Changed("it has changed")
            else:
                place[key] = operation["value"]
        return self.put(path, found)

    def put(self, path: str, body: Any) -> dict[str, Any]:
        self.writes += 1
        self.there[path] = copy.deepcopy(dict(body))
        self.there[path]["metadata"]["resourceVersion"] = str(self.writes)
        return self.there[path]

    @property
    def spec(self) -> Spec:
        return Spec.model_validate(self.there[f"{ROLLOUTS}/flights"]["spec"])

    def holds(self, spec: Spec, status: Status | None = None, **annotations: str) -> None:
        body = model_rollout("flights", "serving", spec)
        body["metadata"]["annotations"] = annotations
        body["status"] = (status or Status()).model_dump(mode="json", by_alias=True)
        self.put(f"{ROLLOUTS}/flights", body)


def deliver(cluster: Cluster, made_of: Revision | None = None) -> str:
    return RolloutDelivery(cluster).deliver(made_of or revision())


def digests(spec: Spec) -> tuple[str, str | None]:
    return spec.stable.digest, spec.candidate.digest if spec.candidate else None


def test_a_models_first_push_makes_its_model_rollout():
    cluster = Cluster()
    said = deliver(cluster)
    assert digests(cluster.spec) == (DIGEST, None)
    assert cluster.spec == revision().spec
    assert cluster.spec.stable.example == {"distance": 200.5}
    assert cluster.spec.host == "flights.serving.models"
    assert "flights-01234567 gets all of the traffic when it serves" in said
    assert "kubectl -n serving get modelrollouts flights -w" in said
    metadata = cluster.there[f"{ROLLOUTS}/flights"]["metadata"]
    assert metadata["labels"]["lockgate.dev/model"] == "flights"


def test_a_next_push_sets_the_candidate_and_never_the_stable():
    cluster = Cluster()
    cluster.holds(revision().spec.model_copy(update={"paused": True}))
    said = deliver(cluster, revision(OTHER))
    assert digests(cluster.spec) == (DIGEST, OTHER)
    assert cluster.spec.paused, "a pause is for people to end"
    assert said.startswith("rollout of flights-ffffffff begun; follow it with `kubectl")
    assert "`lockgate rollout status flights --namespace serving`" in said


def test_a_newer_candidate_takes_the_place_of_one_on_its_way():
    cluster = Cluster()
    cluster.holds(revision().spec)
    deliver(cluster, revision(OTHER))
    said = deliver(cluster, revision(THIRD))
    assert digests(cluster.spec) == (DIGEST, THIRD)
    assert said.startswith("the rollout of flights-ffffffff ends, as a newer revision takes its place;")


@pytest.mark.parametrize("digest", [DIGEST, OTHER])
def test_the_same_push_again_writes_nothing(digest):
    cluster = Cluster()
    cluster.holds(revision().spec)
    deliver(cluster, revision(digest))
    before = cluster.writes
    said = deliver(cluster, revision(digest))
    assert cluster.writes == before
    assert "is the stable revision already" in said or "is the candidate already" in said


def test_the_stable_revision_again_says_that_a_rollout_goes_on():
    cluster = Cluster()
    cluster.holds(revision().spec)
    deliver(cluster, revision(OTHER))
    assert "the rollout of flights-ffffffff goes on (to end it: `lockgate rollout abort" in deliver(cluster)
    assert digests(cluster.spec) == (DIGEST, OTHER)


def test_the_rules_of_project_yaml_come_with_the_candidate_and_go_with_it():
    cluster = Cluster()
    rules = Rollout(
        steps=(Step(weight=10), Step(weight=100)), analysis=Analysis(alpha=0.05), sticky_header="x-r"
    )
    ruled = project().model_copy(update={"rollout": rules})
    cluster.holds(revision().spec)
    deliver(cluster, revision_of(card(OTHER), ruled, STORE, {}))
    assert [step.weight for step in cluster.spec.steps] == [10, 100]
    assert (cluster.spec.analysis.alpha, cluster.spec.sticky_header) == (0.05, "x-r")
    deliver(cluster, revision(THIRD))
    assert "steps" not in cluster.there[f"{ROLLOUTS}/flights"]["spec"]
    assert cluster.spec.model_copy(update={"candidate": None}) == revision().spec


@pytest.mark.parametrize(("other", "labels"), [(DIGEST, 0.07), (THIRD, 0.1)])
def test_limits_follow_from_the_evaluation_beside_the_stable_revision_alone(other, labels):
    known = Difference(
        other=other, rows=900, labels=0.03, labels_high=0.05, size=0, size_high=0, distance=0, distance_high=0
    )
    cluster = Cluster()
    cluster.holds(revision().spec)
    deliver(cluster, revision_of(card(OTHER, difference=known), project(), STORE, {}))
    assert cluster.spec.analysis.agreement.labels == pytest.approx(labels)


def test_a_revision_that_was_rolled_back_is_refused_until_it_is_asked_for():
    rejected = Rejected(digest=OTHER, reason="Errors", message="9 % of the requests failed", retry="")
    cluster = Cluster()
    cluster.holds(revision().spec, Status(rejected=rejected))
    with pytest.raises(
        DeliveryError, match=r"rolled back before, Errors: 9 % of the requests failed\."
    ) as no:
        deliver(cluster, revision(OTHER))
    assert "lockgate rollout retry flights --namespace serving" in no.value.next_step
    deliver(cluster, revision(THIRD))
    cluster.holds(revision().spec, Status(rejected=rejected), **{"lockgate.dev/retry": "2026-01-05"})
    deliver(cluster, revision(OTHER))
    assert digests(cluster.spec) == (DIGEST, OTHER)


def test_a_directly_pushed_revision_becomes_the_stable_one():
    cluster = Cluster()
    before = revision(strategy="replace")
    cluster.put(ROUTE, before.route)
    cluster.put(f"{SERVICES}/{before.name}", before.service)
    said = deliver(cluster, revision(OTHER))
    assert digests(cluster.spec) == (DIGEST, OTHER)
    assert cluster.spec.stable.model_copy(update={"example": before.row}) == before.spec.stable
    assert said.startswith("ModelRollout flights made, with flights-01234567 as its stable revision;")


def test_an_adopted_revision_brings_its_example_where_its_folder_can_be_read(tmp_path, monkeypatch):
    (tmp_path / "example.json").write_text('{"row": {"distance": 7.0}}')
    assert delivery._example(str(tmp_path)) == {"distance": 7.0}
    assert delivery._example("pvc://claim/model") == {}


def test_the_revision_that_a_direct_push_serves_is_no_candidate_against_itself():
    cluster = Cluster()
    cluster.put(ROUTE, revision().route)
    deliver(cluster)
    assert digests(cluster.spec) == (DIGEST, None)


def test_a_route_to_what_lockgate_did_not_make_is_not_guessed_over():
    cluster = Cluster()
    cluster.put(ROUTE, revision().route)
    with pytest.raises(
        DeliveryError, match="leads to flights-01234567, which no push of Lockgate's has made"
    ):
        deliver(cluster, revision(OTHER))
    assert cluster.writes == 1


def test_what_others_write_between_read_and_write_is_read_again():
    def paused(cluster: Cluster) -> None:
        cluster.holds(cluster.spec.model_copy(update={"paused": True}))

    cluster = Cluster(others=[paused])
    cluster.holds(revision().spec)
    deliver(cluster, revision(OTHER))
    assert digests(cluster.spec) == (DIGEST, OTHER)
    assert cluster.spec.paused


def test_of_two_first_pushes_the_second_becomes_the_candidate():
    cluster = Cluster(others=[lambda c: c.holds(revision().spec)])
    deliver(cluster, revision(OTHER))
    assert digests(cluster.spec) == (DIGEST, OTHER)


def test_others_that_write_every_time_end_in_an_error():
    cluster = Cluster(others=[lambda c: c.holds(c.spec)] * 9)
    cluster.holds(revision().spec)
    with pytest.raises(DeliveryError, match="was changed by others each of the 5 times"):
        deliver(cluster, revision(OTHER))


def test_a_cluster_without_the_definition_says_what_to_install():
    with pytest.raises(DeliveryError, match="The cluster knows no ModelRollout") as refused:
        deliver(Cluster(is_installed=False))
    assert "push.strategy to replace" in refused.value.next_step


def test_a_spec_that_cannot_be_read_is_said():
    cluster = Cluster()
    cluster.holds(revision().spec)
    cluster.there[f"{ROLLOUTS}/flights"]["spec"]["analysis"] = {"alpha": 3}
    with pytest.raises(DeliveryError, match=r"ModelRollout flights cannot be read: [\s\S]*alpha"):
        deliver(cluster, revision(OTHER))


def test_an_inference_service_of_others_is_not_adopted():
    theirs = copy.deepcopy(revision().service)
    del theirs["metadata"]["annotations"]["lockgate.dev/digest"]
    assert adopted(theirs, {}) is None


def test_a_push_onto_the_stable_revision_is_no_change():
    there = revision().spec.model_copy(update={"candidate": revision(OTHER).spec.stable})
    assert pushed_onto(there, revision().spec, None) is there


@pytest.fixture
def bare(tmp_path, monkeypatch):
    own_configuration(monkeypatch)
    return made(tmp_path)


def commit(bare, digest=DIGEST, **push) -> str:
    where = {"to": "git", "repository": str(bare), **push}
    return GitRolloutDelivery(str(bare), "main", "manifests/models").deliver(revision(digest, **where))


def in_git(bare) -> Spec:
    return Spec.model_validate(
        yaml.safe_load(file(bare, "manifests/models/flights/modelrollout.yaml"))["spec"]
    )


def test_in_git_the_first_push_commits_the_model_rollout(bare):
    commit(bare)
    assert files(bare) == {"modelrollout.yaml", "kustomization.yaml"}
    assert file(bare, "manifests/models/flights/modelrollout.yaml").startswith(HEADER)
    kustomization = yaml.safe_load(file(bare, "manifests/models/flights/kustomization.yaml"))
    assert kustomization["resources"] == ["modelrollout.yaml"]
    found = in_git(bare)
    assert digests(found) == (DIGEST, None)
    assert found.git is not None
    assert (found.git.repository, found.git.branch) == (str(bare), "main")
    assert found.git.path == "manifests/models/flights/modelrollout.yaml"
    words = last_message(bare)
    assert words.startswith("Push flights 01234567\n")
    assert "Revision flights-01234567, 2 pods, is the first to serve\nflights.serving.models." in words


def test_in_git_a_next_push_commits_the_candidate_and_explains_it(bare):
    commit(bare)
    commit(bare, OTHER)
    assert digests(in_git(bare)) == (DIGEST, OTHER)
    words = last_message(bare)
    assert "is the candidate for" in words
    assert "On the test split: roc_auc 0.72 (0.7 to 0.74), linear 0.69." in words
    assert "Model gate open: 3 of 3 checks passed, 1 warnings." in words


@pytest.mark.parametrize("digest", [DIGEST, OTHER])
def test_in_git_the_same_push_again_commits_nothing(bare, digest):
    commit(bare)
    commit(bare, digest)
    before = commits(bare)
    assert commit(bare, digest).endswith("has it already")
    assert commits(bare) == before


def test_a_folder_of_direct_pushes_is_not_taken_over_unasked(bare):
    GitDelivery(str(bare), "main", "manifests/models").deliver(revision())
    before = commits(bare)
    with pytest.raises(DeliveryError, match=r"holds httproute\.yaml, by a push with strategy: replace") as no:
        commit(bare, OTHER)
    assert "docs/gitops.md" in no.value.next_step
    assert commits(bare) == before


def test_the_manifest_says_nothing_that_is_a_default_and_reads_back():
    written = model_rollout("flights", "serving", revision().spec)
    assert set(written["spec"]) == {"host", "stable"}
    assert Spec.model_validate(yaml.safe_load(render(written))["spec"]) == revision().spec
