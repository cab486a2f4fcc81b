"""What make status shows, from the objects that a cluster would give."""

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from components.cluster.status import Seen, age, gate_rows, job_row, model_row, not_ready, traffic, view
from lockgate.shipping.revision import revision_of
from tests.unit.revisions import DIGEST, card, project, revision

NOW = datetime(2026, 1, 5, 12, 0, 0, tzinfo=UTC)
MADE = "2026-01-05T09:30:00Z"


def served(made=None, **status):
    service = (made or revision()).service
    return {**service, "metadata": {**service["metadata"], "creationTimestamp": MADE}, "status": status}


def deployment(name="flights-01234567", wanted=2, ready=2):
    return {
        "metadata": {"name": f"{name}-predictor"},
        "spec": {"replicas": wanted},
        "status": {"readyReplicas": ready},
    }


def route(*weights):
    backends = [{"name": f"{name}-predictor", "weight": weight} for name, weight in weights]
    return {"spec": {"rules": [{"backendRefs": backends}, {"backendRefs": backends}]}}


def trainjob(**status):
    return {
        "kind": "TrainJob",
        "metadata": {
            "name": "flights-1",
            "labels": {"lockgate.dev/model": "flights"},
            "creationTimestamp": MADE,
        },
        "spec": {"trainer": {"numNodes": 3}, **status.pop("spec", {})},
        "status": status,
    }


def condition(kind, **more):
    return {"type": kind, "status": "True", **more}


def shown(seen):
    console = Console(width=160, file=io.StringIO())
    for part in view(seen, NOW):
        console.print(part)
    return console.file.getvalue()


def test_a_served_model():
    row = model_row(
        served(), Seen("n", routes=[route(("flights-01234567", 1))], deployments=[deployment()]), NOW
    )
    assert {k: str(v) for k, v in row.items()} == {
        "model": "flights",
        "revision": "flights-01234567",
        "traffic": "100 %",
        "pods": "2 of 2",
        "digest": DIGEST[:12],
        "age": "2 h",
        "": "",
    }


def test_a_model_that_does_not_get_ready_says_why():
    failed = served(modelStatus={"lastFailureInfo": {"message": "the digest differs"}})
    row = model_row(failed, Seen("n", deployments=[deployment(ready=0)]), NOW)
    assert str(row["pods"]) == "0 of 2"
    assert str(row[""]) == "the digest differs"
    assert row["traffic"] == ""


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({}, "not yet ready"),
        ({"conditions": [{"type": "Ready", "status": "True", "message": "fine"}]}, "not yet ready"),
        ({"conditions": [{"type": "Ready", "status": "False", "message": "no quota"}]}, "no quota"),
    ],
)
def test_why_a_model_is_not_ready(status, reason):
    assert not_ready({"status": status}) == reason


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([("a", 95), ("b", 5)], "95 %"),
        ([("a", 1), ("b", 2)], "33.33 %"),
        ([("a", 0), ("b", 100)], "0 %"),
        ([("a", 0)], "0 %"),
        ([("b", 100)], ""),
    ],
)
def test_the_share_of_the_traffic(weights, expected):
    assert traffic("a", [route(*weights)]) == expected


def test_the_share_differs_between_rules():
    mixed = route(("a", 5), ("b", 95))
    mixed["spec"]["rules"][1] = {"backendRefs": [{"name": "a-predictor"}]}
    assert traffic("a", [mixed]) == "5 % or 100 %"


@pytest.mark.parametrize(
    ("job", "state"),
    [
        (trainjob(), "runs"),
        (trainjob(spec={"suspend": True}), "waits in its queue"),
        (trainjob(conditions=[condition("Complete")]), "done"),
        (trainjob(conditions=[condition("Failed", reason="X", message="lost")]), "failed  X: lost"),
    ],
)
def test_a_job(job, state):
    row = job_row(job, NOW)
    assert (row["model"], row["job"], row["workers"], str(row["state"])) == (
        "flights",
        "flights-1",
        "3",
        state,
    )


def test_a_plain_job():
    job = {**trainjob(conditions=[condition("Complete")]), "kind": "Job", "spec": {"completions": 2}}
    row = job_row(job, NOW)
    assert (row["workers"], str(row["state"])) == ("2", "done")


def test_the_verdicts_are_told_apart_whatever_a_warning_says():
    verdicts = [
        {
            "gate": "data",
            "sentence": "data gate open: 9 of 9 checks passed, 1 warnings",
            "warnings": ("a; b.",),
        },
        {"gate": "model", "sentence": "model gate open: 3 of 3 checks passed, 0 warnings"},
    ]
    made = revision_of(card(verdicts=verdicts), project(), "gs://b/models", {})
    rows = [(row["revision"], str(row["verdict"])) for row in gate_rows(served(made))]
    assert rows == [
        ("flights-01234567", "data gate open: 9 of 9 checks passed, 1 warnings [a; b.]"),
        ("", "model gate open: 3 of 3 checks passed, 0 warnings"),
    ]


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ("2026-01-05T11:59:58Z", "2 s"),
        ("2026-01-05T11:58:30Z", "1 min"),
        ("2026-01-05T10:00:00Z", "2 h"),
        ("2026-01-02T11:00:00Z", "3 d"),
        ("2026-01-05T12:00:03Z", "0 s"),
    ],
)
def test_ages(made, expected):
    assert age({"metadata": {"creationTimestamp": made}}, NOW) == expected


def test_an_empty_namespace_says_what_to_do():
    text = shown(Seen("lockgate"))
    assert "namespace lockgate, not deployed: make deploy" in text
    assert "models: none is served" in text
    assert "training: no job" in text


def test_the_view_holds_all_parts():
    text = shown(
        Seen(
            "lockgate",
            "0.1.0",
            services=[served()],
            routes=[route(("flights-01234567", 1))],
            deployments=[deployment()],
            jobs=[trainjob()],
        )
    )
    assert "namespace lockgate, Lockgate 0.1.0" in text
    assert "flights-01234567" in text
    assert "model gate open: 3 of 3 checks passed, 1 warnings [Few rows.]" in text
    assert "runs" in text
