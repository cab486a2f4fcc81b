"""What people ask of rollouts, and what they are shown, on objects as a cluster has them."""

import copy
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from components.cluster.connection import Absent, Api, Forbidden
from components.cluster.status import rollout_row
from lockgate.cli import rollout as cli
from lockgate.cli import rollout_view
from lockgate.cli.rollout_view import overview, show, told
from lockgate.errors import ClusterError
from lockgate.rollout.readings import Reading
from lockgate.rollout.status import Past, Rejected, Status
from lockgate.shipping.rollout import model_rollout
from serving.controller.cluster import wishes
from serving.controller.cluster.wishes import ModelRollouts
from tests.unit.revisions import DIGEST, revision

CANDIDATE = "f" * 64
PATH = "/apis/lockgate.dev/v1alpha1/namespaces/serving/modelrollouts"
NOW = datetime(2026, 1, 5, 12, 0, 0, tzinfo=UTC)
STEPPING = Status(
    phase="Stepping", stage="stepping", reason="Advanced", message="25 % of the requests go to the candidate",
    stable=DIGEST, stable_revision="flights-01234567", candidate=CANDIDATE,
    candidate_revision="flights-ffffffff", step=2, step_text="3/5", weight=25, observed="24.8 (24.1 to 25.5)",
    since=NOW - timedelta(minutes=3),
    measurements=(
        Reading(measure="errors", sentence="0.10% of the requests failed", against=0.4, for_it=1.5),
        Reading(measure="agreement", sentence="2.00% were decided otherwise", against=-0.2),
    ),
)  # fmt: skip
PAST = Past(
    candidate=CANDIDATE, outcome="RolledBack", reason="Errors", message="9 % of the requests failed",
    weight=5, started=NOW - timedelta(hours=3), ended=NOW - timedelta(hours=2),
)  # fmt: skip
ENDED = Status(
    phase="RolledBack", stage="rolledBack", reason="Errors", message="9 % of the requests failed",
    stable=DIGEST, candidate=CANDIDATE, candidate_revision="flights-ffffffff", history=(PAST,),
    rejected=Rejected(digest=CANDIDATE, reason="Errors", message="9 % of the requests failed"),
)  # fmt: skip


class Cluster(Api):
    """One namespace's ModelRollouts; a status that follows may come after each read."""

    def __init__(self, status: Status, *, candidate: bool = True, **spec: Any) -> None:
        super().__init__(None)
        made = revision().spec.model_copy(
            update={"candidate": revision(CANDIDATE).spec.stable if candidate else None, **spec}
        )
        self.thing = model_rollout("flights", "serving", made)
        self.thing["metadata"]["creationTimestamp"] = "2026-01-05T09:30:00Z"
        self.then: list[Status] = [status]

    def get(self, path: str, **query: str) -> dict[str, Any]:
        status = self.then.pop(0) if len(self.then) > 1 else self.then[0]
        found = {**copy.deepcopy(self.thing), "status": status.model_dump(mode="json", by_alias=True)}
        if path == PATH:
            return {"items": [found]}
        if path != f"{PATH}/flights":
            raise Absent("no such object")
        return found

    def patch(self, path: str, patch: Any, kind: str = "") -> dict[str, Any]:
        assert path == f"{PATH}/flights"
        there = self.thing["metadata"].setdefault("annotations", {})
        for name, text in patch["metadata"]["annotations"].items():
            there[name] = text
            if text is None:
                del there[name]
        return self.thing

    @property
    def annotations(self) -> dict[str, str]:
        return {k.removeprefix("lockgate.dev/"): v for k, v in self.thing["metadata"]["annotations"].items()}


def of(cluster: Api) -> ModelRollouts:
    return ModelRollouts(cluster, "serving")


def text_of(*parts: Any) -> str:
    console = Console(width=160, record=True, file=io.StringIO())
    for part in parts:
        console.print(part)
    return console.export_text()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (lambda r: cli.pause(r, "flights", None), {"paused": "true"}),
        (lambda r: cli.promote(r, "flights", None), {"promote": "flights-ffffffff"}),
        (lambda r: cli.abort(r, "flights", None), {"abort": "flights-ffffffff"}),
        (lambda r: cli.scale(r, "flights", 3, None), {"replicas": "3"}),
    ],
)
def test_a_wish_is_an_annotation_and_kubectl_could_set_it(asked, expected, capsys):
    cluster = Cluster(STEPPING)
    asked(of(cluster))
    assert cluster.annotations == expected
    ((name, text),) = expected.items()
    said = capsys.readouterr().out
    assert "kubectl -n serving annotate --overwrite modelrollout flights " in said
    assert f"lockgate.dev/{name}={text}" in said


def test_who_aborts_no_longer_promotes_and_a_pause_is_taken_away():
    cluster = Cluster(STEPPING)
    for asked in (cli.promote, cli.pause, cli.abort, cli.resume):
        asked(of(cluster), "flights", None)
    assert cluster.annotations == {"abort": "flights-ffffffff"}


def test_a_pause_in_the_spec_is_ended_there():
    with pytest.raises(ClusterError, match=r"paused by spec\.paused") as refused:
        cli.resume(of(Cluster(STEPPING, paused=True)), "flights", None)
    assert '{"spec":{"paused":false}}' in refused.value.next_step


@pytest.mark.parametrize("asked", [cli.promote, cli.abort])
def test_where_no_rollout_goes_on_there_is_nothing_to_end(asked):
    cluster = Cluster(ENDED)
    with pytest.raises(ClusterError, match="No rollout of flights is going on; it is RolledBack"):
        asked(of(cluster), "flights", None)
    assert "annotations" not in cluster.thing["metadata"]


def test_a_retry_is_another_text_each_time_and_says_if_a_push_is_needed(capsys):
    cluster = Cluster(ENDED, candidate=False)
    cli.retry(of(cluster), "flights", 60)
    assert datetime.fromisoformat(cluster.annotations["retry"]).tzinfo is not None
    assert "ffffffff is no longer in the spec: push it again" in capsys.readouterr().out
    with pytest.raises(ClusterError, match="No candidate of flights was rolled back"):
        cli.retry(of(Cluster(STEPPING)), "flights", None)


def test_waiting_ends_when_the_rollout_has_ended(capsys, monkeypatch):
    monkeypatch.setattr(wishes, "POLL", 0.0)
    cluster = Cluster(STEPPING)
    cluster.then += [STEPPING, STEPPING, ENDED]
    cli.abort(of(cluster), "flights", 60)
    assert "RolledBack" in capsys.readouterr().out
    assert cluster.then == [ENDED]


def test_waiting_in_vain_says_how_it_stands(monkeypatch):
    monkeypatch.setattr(wishes, "POLL", 0.0)
    with pytest.raises(ClusterError, match="After 0 s the rollout of flights is Stepping: 25 %"):
        cli.pause(of(Cluster(STEPPING)), "flights", 0)


def test_the_overview_has_kubectls_columns():
    lines = text_of(overview(of(Cluster(STEPPING)).all(), NOW)).splitlines()
    assert lines[0].split() == ["model", "stable", "candidate", "step", "wanted", "observed", "phase", "age"]
    assert lines[1].split() == [
        "flights", "flights-01234567", "flights-ffffffff", "3/5", "25", "%", "24.8", "%", "Stepping",
        "2", "h",
    ]  # fmt: skip


def test_a_narrow_terminal_cuts_no_name(monkeypatch):
    text = io.StringIO()
    monkeypatch.setattr(rollout_view, "terminal", lambda: Console(file=text, width=40))
    show(of(Cluster(STEPPING)), None)
    assert text.getvalue().splitlines()[1].split() == [
        "flights", "flights-01234567", "flights-ffffffff", "3/5", "25", "%", "24.8", "%", "Stepping",
        *text.getvalue().split()[-2:],
    ]  # fmt: skip


def test_one_rollout_is_told_with_its_evidence_and_its_limits():
    status = STEPPING.model_copy(update={"history": (PAST,)})
    said = text_of(*told(of(Cluster(status)).one("flights"), NOW))
    for words in (
        "flights-ffffffff: 25 % of the traffic, step 3/5, observed 24.8 (24.1 to 25.5) %",
        "2026-01-05 11:57:00 UTC, 3 min",
        "Advanced: 25 % of the requests go to the candidate",
        "0.10% of the requests failed; evidence against it 1.5 to 1, of 100 to 1; for the next step 4.5 to 1",
        "2.00% were decided otherwise; evidence against it 0.82 to 1, of 100 to 1",
    ):
        assert words in said.replace("\n", " ")
    assert "2 h ago  9 % of the requests failed" in said


def test_a_model_that_is_not_there_is_answered_with_those_that_are():
    with pytest.raises(ClusterError, match="Namespace serving has no ModelRollout trains") as refused:
        show(of(Cluster(STEPPING)), "trains")
    assert "flights" in refused.value.allowed


def test_a_cluster_without_the_definition_says_what_to_install():
    class Bare(Cluster):
        def get(self, path: str, **query: str) -> dict[str, Any]:
            raise Absent("no such kind")

    with pytest.raises(ClusterError, match="knows no ModelRollout") as refused:
        show(of(Bare(STEPPING)), None)
    assert "make deploy" in refused.value.next_step


def test_without_rights_the_role_is_named():
    class Closed(Cluster):
        def patch(self, path: str, patch: Any, kind: str = "") -> dict[str, Any]:
            raise Forbidden("403")

    with pytest.raises(ClusterError) as refused:
        cli.pause(of(Closed(STEPPING)), "flights", None)
    assert "lockgate-rollout-operator" in refused.value.next_step


def test_make_status_tells_why_a_rollout_does_not_go_on():
    found = Cluster(ENDED).get(f"{PATH}/flights")
    row = {name: str(cell) for name, cell in rollout_row(found, NOW).items()}
    assert (row["phase"], row["age"], row[""]) == ("RolledBack", "2 h", "9 % of the requests failed")
    assert str(rollout_row(Cluster(STEPPING).get(f"{PATH}/flights"), NOW)[""]) == ""
    broken = {**found, "status": {"phase": "Flying"}}
    assert "cannot be read" in str(rollout_row(broken, NOW)[""])
