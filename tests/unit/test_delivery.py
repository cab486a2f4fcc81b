"""Delivery to a Git repository, on bare repositories of this disk: what lands, and what is said if not."""

import http.server
import subprocess
import threading
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from components.cluster.git import GitDelivery
from components.cluster.repository import _words as words_of
from components.cluster.repository import redacted
from lockgate.errors import DeliveryError
from lockgate.project import Push
from lockgate.shipping.gitops import changes
from lockgate.shipping.manifest import routed
from lockgate.shipping.revision import revision_of
from tests.unit.bare import commits, file, files, git, hook, made, own_configuration
from tests.unit.revisions import card, project, revision

OTHER, THIRD = "f" * 64, "e" * 64


@pytest.fixture(autouse=True)
def _own_git_configuration(monkeypatch):
    own_configuration(monkeypatch)


@pytest.fixture
def bare(tmp_path) -> Path:
    return made(tmp_path)


def deliver(repository: Path | str, made=None, branch: str = "main", path: str = "manifests/models") -> str:
    return GitDelivery(str(repository), branch, path).deliver(made or revision())


def test_the_first_push_is_one_commit_that_explains_itself(bare):
    said = deliver(bare)
    assert files(bare) == {"flights-01234567.yaml", "httproute.yaml", "kustomization.yaml"}
    assert files(bare, "") == {"README.md", "manifests"}
    kustomization = yaml.safe_load(file(bare, "manifests/models/flights/kustomization.yaml"))
    assert kustomization["resources"] == ["flights-01234567.yaml", "httproute.yaml"]
    assert yaml.safe_load(file(bare, "manifests/models/flights/flights-01234567.yaml")) == revision().service
    assert yaml.safe_load(file(bare, "manifests/models/flights/httproute.yaml")) == revision().route
    words = git("-C", bare, "log", "-1", "--format=%an%n%B", "main")
    assert words.startswith("lockgate\nPush flights 01234567\n")
    assert "Traffic for flights.serving.models goes to revision flights-01234567, 2\npods." in words
    assert "On the test split: roc_auc 0.72 (0.7 to 0.74), linear 0.69." in words
    assert "Model gate open: 3 of 3 checks passed, 1 warnings." in words
    assert f"Model: {revision().address}" in words
    assert git("-C", bare, "rev-parse", "--short", "main").strip() in said


def test_the_same_digest_again_makes_no_commit(bare):
    deliver(bare)
    tip = git("-C", bare, "rev-parse", "main")
    assert deliver(bare).endswith("has it already")
    assert git("-C", bare, "rev-parse", "main") == tip


def test_a_next_push_moves_the_route_and_keeps_the_revision_before_it(bare):
    for digest in (revision().digest, OTHER):
        deliver(bare, revision(digest))
    assert files(bare) == {
        "flights-01234567.yaml", "flights-ffffffff.yaml", "httproute.yaml", "kustomization.yaml",
    }  # fmt: skip
    assert routed(yaml.safe_load(file(bare, "manifests/models/flights/httproute.yaml"))) == (
        "flights-ffffffff",
    )
    deliver(bare, revision(THIRD))
    assert files(bare) == {
        "flights-eeeeeeee.yaml", "flights-ffffffff.yaml", "httproute.yaml", "kustomization.yaml",
    }  # fmt: skip
    assert commits(bare) == 4


def test_pushing_what_has_the_traffic_leaves_the_one_before_it_in_place(bare):
    deliver(bare)
    deliver(bare, revision(OTHER))
    before = commits(bare)
    assert deliver(bare, revision(OTHER)).endswith("has it already")
    assert commits(bare) == before
    deliver(bare)  # back to the first
    assert "flights-ffffffff.yaml" in files(bare)


def test_files_of_others_in_the_folder_stay():
    theirs = {"notes.md": b"x", "patch-01234567.yaml": b"y", "flights-extra.yaml": b"z"}
    assert not theirs.keys() & changes(revision(), theirs).keys()


def test_a_route_that_cannot_be_read_is_not_guessed_over():
    with pytest.raises(DeliveryError, match=r"httproute\.yaml in the repository is no HTTPRoute"):
        changes(revision(), {"httproute.yaml": b"[1, 2]"})


def test_of_two_pushes_at_the_same_moment_both_land(bare, tmp_path):
    """The server holds each push until both have come; so one of them is always overtaken."""
    (tmp_path / "seen").mkdir()
    seen, wait = tmp_path / "seen", 'i=0; while [ $(ls "$seen" | wc -l) -lt 2 ] && [ $i -lt 200 ]'
    hook(bare, "pre-receive", f'seen={seen}; touch "$seen/$$"; {wait}; do sleep 0.05; i=$((i+1)); done')
    said: list[str] = []

    def push(model):
        said.append(deliver(bare, revision_of(model, project(), "gs://b", {})))

    models = card(name="flights"), card(name="trains", digest=OTHER)
    threads = [threading.Thread(target=push, args=(model,)) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == 2
    assert len(list((tmp_path / "seen").iterdir())) >= 3, "one of them came a second time"
    assert files(bare, "manifests/models") == {"flights", "trains"}
    assert commits(bare) == 3


def test_a_push_that_finds_the_branch_changed_starts_again_from_there(bare, tmp_path, monkeypatch):
    """Right after our commit another one lands: git's template puts that hook into our clone."""
    template, other = tmp_path / "template" / "hooks", tmp_path / "first"
    template.mkdir(parents=True)
    hook(
        tmp_path / "template",
        "post-commit",
        f"[ -e {tmp_path}/done ] || {{ touch {tmp_path}/done; unset GIT_DIR GIT_INDEX_FILE; cd {other};"
        " echo more > more.txt; git add .; git commit -qm theirs; git push -q origin HEAD:main; }",
    )
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(tmp_path / "template"))
    deliver(bare)
    assert git("-C", bare, "log", "--format=%s", "main").split("\n")[:3] == [
        "Push flights 01234567", "theirs", "first",
    ]  # fmt: skip
    assert files(bare, "") == {"README.md", "manifests", "more.txt"}


def test_a_branch_that_others_change_every_time_ends_in_an_error(bare, monkeypatch):
    hook(bare, "update", 'git update-ref "$1" "$(git commit-tree -p "$2" -m x "$2^{tree}")"')
    monkeypatch.setattr("components.cluster.repository.time.sleep", lambda _: None)
    with pytest.raises(DeliveryError, match=r"Others changed main of .* each of the 8 times"):
        deliver(bare)


def test_a_server_that_refuses_is_quoted(bare):
    hook(bare, "pre-receive", "echo 'main is protected: open a merge request' >&2; exit 1")
    with pytest.raises(DeliveryError, match="main is protected: open a merge request") as refused:
        deliver(bare)
    assert "pre-receive hook declined" in refused.value.given
    assert "protection rules" in refused.value.next_step
    assert commits(bare) == 1


def test_a_branch_that_does_not_exist_is_said(bare):
    with pytest.raises(DeliveryError, match="has no branch production"):
        deliver(bare, branch="production")


@pytest.mark.parametrize("path", ["../../elsewhere", "/tmp", "manifests/../.."])
def test_a_path_out_of_the_repository_is_refused(bare, path):
    with pytest.raises(DeliveryError, match="leads out of the repository"):
        deliver(bare, path=path)


def test_a_link_in_the_repository_leads_nowhere_else(bare, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    work = tmp_path / "first"
    (work / "models").symlink_to(outside)
    (work / "flights").mkdir()
    (work / "flights" / "httproute.yaml").symlink_to(tmp_path / "victim")
    (tmp_path / "victim").write_text("untouched")
    git("-C", work, "add", ".")
    git("-C", work, "commit", "-m", "links")
    git("-C", work, "push", "origin", "HEAD:main")
    with pytest.raises(DeliveryError, match="leads out of the repository"):
        deliver(bare, path="models")
    deliver(bare, path=".")
    assert (tmp_path / "victim").read_text() == "untouched"
    assert not list(outside.iterdir())


@pytest.mark.parametrize(
    "url", ["http://user:secret@127.0.0.1:1/x.git?token=secret", "file:///nowhere/x.git"]
)
def test_a_repository_that_cannot_be_reached_is_said_without_its_secrets(url):
    with pytest.raises(DeliveryError, match="cannot be cloned") as refused:
        deliver(url)
    assert "secret" not in str(refused.value)
    assert "must reach the repository" in refused.value.allowed


def test_a_repository_that_asks_for_a_password_ends_in_an_error_and_no_question():
    class Locked(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Basic")
            self.end_headers()

        def log_message(self, *_):
            """Keeps the test's output quiet."""

    with http.server.HTTPServer(("127.0.0.1", 0), Locked) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(DeliveryError, match="cannot be cloned") as refused:
            deliver(f"http://127.0.0.1:{server.server_port}/x.git")
        server.shutdown()
    assert "takes credentials from a helper" in refused.value.allowed


def test_a_password_in_the_url_is_refused_in_project_yaml():
    with pytest.raises(ValidationError, match="leave the password out"):
        Push(to="git", repository="https://me:secret@git.example.org/a.git")
    assert Push(to="git", repository="ssh://git@git.example.org/a.git")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fatal: https://u:p@h/x.git: no", "fatal: https://h/x.git: no"),
        ("https://h/x?private_token=abc was", "https://h/x was"),
        ("git@host:a/b.git", "git@host:a/b.git"),
        ("https://u:p@ss@h/x.git and https://h/y", "https://h/x.git and https://h/y"),
    ],
)
def test_secrets_of_urls_are_left_out(text, expected):
    assert redacted(text) == expected


def test_a_secret_is_left_out_before_what_git_said_is_cut():
    said = "fatal: https://user:p@ss" + "word" * 10 + "@h/x.git" + " no" * 320
    done = subprocess.CompletedProcess([], 128, "", said)
    assert len(said) > 1000
    assert "word" not in words_of(done)
    assert words_of(done).endswith(" no")
