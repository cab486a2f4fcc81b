"""How rollouts end in Git, on bare repositories of this disk: races, refusals, and nothing done twice."""

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from components.cluster.git import GitRolloutDelivery
from lockgate.errors import DeliveryError
from lockgate.rollout.readings import Reading
from lockgate.rollout.resource import Git, Spec
from lockgate.rollout.status import Past, Status
from lockgate.shipping.gitrollout import HEADER
from lockgate.shipping.manifest import service_of
from serving.controller.cluster.book import ClusterBook
from serving.controller.cluster.gitbook import GitBook
from serving.controller.ports import Rollout
from tests.unit.bare import commits, file, git, hook, last_message, made, own_configuration
from tests.unit.revisions import revision

STABLE, CANDIDATE, NEWER = "0123456789abcdef" * 4, "f" * 64, "e" * 64
FILE = "manifests/models/flights/modelrollout.yaml"
NOW = datetime(2026, 1, 5, 12, 0, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _own_git_configuration(monkeypatch):
    own_configuration(monkeypatch)


@pytest.fixture
def bare(tmp_path):
    """A repository with a stable revision and a candidate, as two pushes leave it."""
    repository = made(tmp_path)
    push(repository, STABLE)
    push(repository, CANDIDATE)
    return repository


def push(repository, digest):
    where = {"to": "git", "repository": str(repository)}
    return GitRolloutDelivery(str(repository), "main", "manifests/models").deliver(revision(digest, **where))


def spec(repository) -> Spec:
    return Spec.model_validate(yaml.safe_load(file(repository, FILE))["spec"])


def digests(repository) -> tuple[str, str | None]:
    found = spec(repository)
    return found.stable.digest, found.candidate.digest if found.candidate else None


def judged(found: Spec, digest: str = CANDIDATE, weight: int = 100, **past) -> tuple[Rollout, Status]:
    """The rollout of a candidate that has ended, and its status."""
    ended = Past(
        candidate=digest, outcome="Promoted", reason="Fine", message="every measure stayed within its margin",
        weight=weight, started=NOW, ended=NOW,
    ).model_copy(update=past)  # fmt: skip
    measured = Reading(measure="errors", sentence="0.10 % of the requests failed (10 of 10,000)", against=0.5)
    status = Status(candidate=digest, history=(ended,), measurements=(measured,), settled=False)
    return Rollout("flights", "serving", 3, found, status), status


def test_a_promotion_is_a_commit_that_tells_of_the_analysis(bare):
    said = GitBook().settle("promote", *judged(spec(bare)))
    assert digests(bare) == (CANDIDATE, None)
    assert file(bare, FILE).startswith(HEADER)
    words = last_message(bare)
    assert words.startswith("Promote flights ffffffff\n\nRevision flights-ffffffff is the stable one now.\n")
    assert "Every measure stayed within its margin." in words
    assert "errors: 0.10 % of the requests failed (10 of 10,000)" in words.replace("\n  ", " ")
    assert "evidence that it is too much: 1.6 to 1" in words.replace("\n  ", " ")
    assert "Reason: Fine\nTraffic reached: 100 %\n" in words
    tip = git("-C", bare, "rev-parse", "--short", "main").strip()
    assert said == f"{FILE} on main of {bare}, commit {tip},"


def test_a_rollback_takes_the_candidate_out_and_says_why(bare):
    past = {"outcome": "RolledBack", "reason": "Errors", "message": "9 % of the requests failed"}
    GitBook().settle("reject", *judged(spec(bare), weight=5, **past))
    assert digests(bare) == (STABLE, None)
    words = last_message(bare)
    assert words.startswith("Roll back flights ffffffff\n\nRevision flights-ffffffff was taken back.\n")
    assert "Reason: Errors\nTraffic reached: 5 %\n" in words


@pytest.mark.parametrize("kind", ["promote", "reject"])
def test_what_is_written_already_is_not_written_again(bare, kind):
    rollout, status = judged(spec(bare))
    GitBook().settle(kind, rollout, status)
    before = commits(bare)
    said = GitBook().settle(kind, rollout, status)
    assert commits(bare) == before
    assert said == f"{FILE} on main of {bare}"


def test_a_candidate_that_was_pushed_meanwhile_stays_the_candidate(bare):
    ended = judged(spec(bare))
    push(bare, NEWER)
    GitBook().settle("promote", *ended)
    assert digests(bare) == (CANDIDATE, NEWER), "what has the traffic is the stable one"
    before = commits(bare)
    GitBook().settle("reject", *judged(ended[0].spec))
    assert commits(bare) == before, "the newer one was not judged"


def test_a_stable_revision_that_somebody_wrote_meanwhile_stands(bare, tmp_path):
    ended = judged(spec(bare))
    changed = yaml.safe_load(file(bare, FILE))
    changed["spec"]["stable"] |= {"digest": NEWER, "storageUri": f"gs://bucket/flights/models/{NEWER}"}
    change(bare, tmp_path, yaml.safe_dump(changed))
    before = commits(bare)
    GitBook().settle("promote", *ended)
    assert commits(bare) == before


def test_a_promoted_candidate_that_was_taken_out_meanwhile_is_put_back_as_the_stable_one(bare, tmp_path):
    rollout, status = judged(spec(bare))
    changed = yaml.safe_load(file(bare, FILE))
    del changed["spec"]["candidate"]
    change(bare, tmp_path, yaml.safe_dump(changed))
    gone = Rollout("flights", "serving", 4, rollout.spec.model_copy(update={"candidate": None}), status)
    with pytest.raises(DeliveryError, match="was promoted and has all of the traffic, but was taken out"):
        GitBook().settle("promote", gone, status)
    GitBook().settle("promote", rollout, status)
    assert digests(bare) == (CANDIDATE, None)
    assert spec(bare).stable == rollout.spec.candidate


def test_of_a_promotion_and_a_push_at_the_same_moment_both_land(bare, tmp_path):
    """The server holds each until both have come; so one of them is always overtaken."""
    (tmp_path / "seen").mkdir()
    seen, wait = tmp_path / "seen", 'i=0; while [ $(ls "$seen" | wc -l) -lt 2 ] && [ $i -lt 200 ]'
    hook(bare, "pre-receive", f'seen={seen}; touch "$seen/$$"; {wait}; do sleep 0.05; i=$((i+1)); done')
    ended, before = judged(spec(bare)), commits(bare)
    failed: list[Exception] = []

    def run(call, *arguments):
        try:
            call(*arguments)
        except Exception as error:
            failed.append(error)

    threads = [
        threading.Thread(target=run, args=(GitBook().settle, "promote", *ended)),
        threading.Thread(target=run, args=(push, bare, NEWER)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(list(seen.iterdir())) >= 3, "one of them came a second time"
    assert commits(bare) == before + 2
    assert digests(bare) == (CANDIDATE, NEWER)


def test_a_repository_that_cannot_be_reached_is_an_error_and_later_none(bare):
    rollout, status = judged(spec(bare))
    away = bare.rename(bare.with_name("away.git"))
    with pytest.raises(DeliveryError, match="cannot be cloned") as refused:
        GitBook().settle("promote", rollout, status)
    assert refused.value.allowed.startswith("The controller must reach the repository")
    away.rename(bare)
    GitBook().settle("promote", rollout, status)
    assert digests(bare) == (CANDIDATE, None)


@pytest.mark.parametrize("path", ["../../outside.yaml", "manifests/none.yaml", "manifests/link.yaml"])
def test_a_file_that_is_not_there_or_leads_elsewhere_is_an_error(bare, tmp_path, path):
    work = tmp_path / "first"
    git("-C", work, "pull", "-q", "origin", "main")
    (work / "manifests" / "link.yaml").symlink_to(tmp_path / "victim.yaml")
    (tmp_path / "victim.yaml").write_text(file(bare, FILE))
    git("-C", work, "add", ".")
    git("-C", work, "commit", "-m", "a link")
    git("-C", work, "push", "-q", "origin", "HEAD:main")
    rollout, status = judged(spec(bare).model_copy(update={"git": Git(repository=str(bare), path=path)}))
    with pytest.raises(DeliveryError, match="The repository has no file"):
        GitBook().settle("promote", rollout, status)


def test_a_file_that_is_no_model_rollout_is_not_guessed_over(bare, tmp_path):
    ended = judged(spec(bare))
    change(bare, tmp_path, "kind: ConfigMap\nmetadata: {name: flights}\n")
    with pytest.raises(DeliveryError, match=r"modelrollout\.yaml of flights .* cannot be read"):
        GitBook().settle("promote", *ended)


def change(bare, tmp_path, text: str) -> None:
    """A person's commit."""
    work = tmp_path / "first"
    git("-C", work, "pull", "-q", "origin", "main")
    (work / FILE).write_text(text)
    git("-C", work, "commit", "-qam", "by hand")
    git("-C", work, "push", "-q", "origin", "HEAD:main")


class Serving:
    """An API server that has the candidate's InferenceService, and counts how often it was read."""

    def __init__(self, service: dict[str, Any]) -> None:
        self.service, self.reads = service, 0

    def get(self, path: str) -> dict[str, Any]:
        assert path.endswith(f"/namespaces/serving/inferenceservices/{self.service['metadata']['name']}")
        self.reads += 1
        return self.service


def test_a_promotion_is_written_from_what_serves_when_the_cluster_has_a_newer_candidate_already(bare):
    """The repository could not be reached for a while; meanwhile another candidate came through it."""
    before = spec(bare)
    push(bare, NEWER)
    rollout, status = judged(spec(bare))
    assert rollout.spec.candidate is not None
    assert rollout.spec.candidate.digest == NEWER
    assert before.candidate is not None
    api = Serving(service_of("flights", "serving", before.candidate))
    ClusterBook(api).settle("promote", rollout, status)
    assert digests(bare) == (CANDIDATE, NEWER)
    assert spec(bare).stable == before.candidate.model_copy(update={"example": {}})
    assert api.reads == 1
