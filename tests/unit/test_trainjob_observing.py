from typing import Any

import pytest

from components.cluster import indexed_job, trainjob
from components.cluster.deadline import Deadline
from components.cluster.observing import LEAVING, Sightings, Worker, absent, decide, newest, worker_of
from components.cluster.own_pod import described
from components.cluster.verdict import Verdict
from lockgate.training.exits import Action


def pod(index: int = 0, uid: str = "u", attempt: int = 0, **status: Any) -> dict[str, Any]:
    labels = {
        "batch.kubernetes.io/job-completion-index": str(index),
        "jobset.sigs.k8s.io/restart-attempt": str(attempt),
    }
    return {"metadata": {"name": f"p-{index}", "uid": uid, "labels": labels}, "status": status}


def state(**given: Any) -> list[dict[str, Any]]:
    return [{"name": "node", "state": given}]


UNSCHEDULABLE = {
    "phase": "Pending",
    "conditions": [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/3 nodes are available.",
        }
    ],
}


@pytest.mark.parametrize(
    ("status", "has_started", "code", "reason", "waits"),
    [
        ({}, False, None, "", ""),
        (UNSCHEDULABLE, False, None, "", "Unschedulable: 0/3 nodes are available."),
        (
            {
                "phase": "Pending",
                "containerStatuses": state(waiting={"reason": "ImagePullBackOff", "message": "no such tag"}),
            },
            False,
            None,
            "",
            "ImagePullBackOff: no such tag",
        ),
        ({"phase": "Running", "containerStatuses": state(running={})}, True, None, "", ""),
        (
            {"phase": "Failed", "containerStatuses": state(terminated={"exitCode": 137, "reason": "Error"})},
            True,
            137,
            "Error",
            "",
        ),
        (
            {"containerStatuses": state(terminated={"exitCode": 137, "reason": "OOMKilled"})},
            True,
            137,
            "OOMKilled",
            "",
        ),
        ({"phase": "Failed", "reason": "Evicted"}, True, None, "Evicted", ""),
    ],
)
def test_what_a_pod_says(
    status: dict[str, Any], has_started: bool, code: int | None, reason: str, waits: str
) -> None:
    worker = worker_of(pod(**status))
    assert (worker.has_started, worker.code, worker.reason, worker.waits) == (
        has_started,
        code,
        reason,
        waits,
    )


def worker(index: int = 0, code: int | None = None, reason: str = "", **more: Any) -> Worker:
    return Worker(name=f"p-{index}", uid=f"u{index}", index=index, code=code, reason=reason, **more)


DONE, LOST = Verdict(is_complete=True), Verdict(is_failed=True)


@pytest.mark.parametrize(
    ("verdict", "workers", "error", "restarts", "action"),
    [
        (Verdict(), [], False, 0, Action.WAIT),
        (Verdict(), [worker(), worker(1)], False, 0, Action.WAIT),
        (DONE, [worker(0, 0), worker(1, 0)], False, 0, Action.FINISH),
        # A killed container is restarted by the cluster; one without memory would be killed again.
        (Verdict(), [worker(0, 137, "Error"), worker(1)], False, 0, Action.WAIT),
        (Verdict(), [worker(0, 137, "OOMKilled"), worker(1)], False, 0, Action.OUT_OF_MEMORY),
        (Verdict(), [worker(0, 75), worker(1, 137, "OOMKilled")], False, 0, Action.OUT_OF_MEMORY),
        # Saved, its pod was deleted: replaced by the cluster.
        (Verdict(), [worker(0, 42), worker(1, 42)], False, 0, Action.WAIT),
        (Verdict(), [worker(0, 75), worker(1, 64)], False, 0, Action.FAIL),
        (LOST, [worker(0, 75)], True, 0, Action.FAIL),
        (Verdict(), [worker(0, 137, "OOMKilled")], True, 0, Action.FAIL),
        (LOST, [worker(0, 75)], False, 0, Action.RESTART),
        (Verdict(), [worker()], False, 3, Action.WAIT),
        (Verdict(), [worker()], False, 4, Action.RESTART),
        (DONE, [worker(0, 0)], False, 4, Action.FINISH),
    ],
)
def test_the_pods_decide(
    verdict: Verdict, workers: list[Worker], error: bool, restarts: int, action: Action
) -> None:
    assert decide(verdict, workers, has_user_error=error, restarts=restarts, max_restarts=3) is action


def test_the_newest_pod_of_a_worker_counts() -> None:
    old, new = worker(created="2026-01-01T00:00:00Z"), worker(created="2026-01-01T00:00:09Z")
    restarted = worker(created="2026-01-01T00:00:00Z", attempt=1)
    assert newest([new, old])[0] is new
    assert newest([restarted, new])[0] is restarted


def test_workers_that_have_not_started_are_named_with_the_reason() -> None:
    waiting = worker_of(pod(1, **UNSCHEDULABLE))
    assert absent([worker(0, has_started=True), waiting], 3) == {
        1: "Unschedulable: 0/3 nodes are available.",
        2: "",
    }


def test_a_worker_whose_pod_is_deleted_is_to_be_replaced() -> None:
    given = pod(0, phase="Running", containerStatuses=state(running={}))
    assert absent([worker_of(given)], 1) == {}
    given["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert absent([worker_of(given)], 1) == {0: "its pod is being deleted"}


def passings(*looks: tuple[float, dict[int, str], bool]) -> list[bool]:
    """Whether a deadline of 60 seconds, with a grace of 100, has passed at each look."""
    deadline = Deadline(60, 100, now=0)
    return [deadline.has_passed(missing, is_suspended=held, now=now) for now, missing, held in looks]


def test_workers_may_be_missing_for_so_long() -> None:
    late = {1: "Unschedulable"}
    assert passings((60, late, False), (61, late, False)) == [False, True]
    assert passings((50, {}, False), (110, late, False), (111, late, False)) == [False, False, True]


def test_a_job_in_a_queue_is_not_late() -> None:
    assert passings((500, {0: "", 1: ""}, True), (560, {0: ""}, False), (561, {0: ""}, False)) == [
        False,
        False,
        True,
    ]


def test_a_pod_that_saves_does_not_count_but_one_of_a_lost_node_does() -> None:
    leaving, late = {1: LEAVING}, {1: ""}
    assert passings((5, {}, False), (90, leaving, False), (150, late, False), (151, late, False)) == [
        False,
        False,
        False,
        True,
    ]
    assert passings((100, leaving, False), (160, leaving, False), (161, leaving, False)) == [
        False,
        False,
        True,
    ]


def test_restarts_are_counted_by_jobset_or_by_the_pods_that_were_seen() -> None:
    seen = Sightings()
    for uid in ("a", "a", "b", "c"):
        seen.see([worker_of(pod(0, uid)), worker_of(pod(1, "same"))])
    assert seen.restarts == 2
    seen.see([worker_of(pod(0, "d", attempt=5))])
    assert seen.restarts == 5


def condition(kind: str, reason: str = "R", message: str = "m") -> dict[str, Any]:
    return {"type": kind, "status": "True", "reason": reason, "message": message}


def test_a_job_tells_how_it_ended() -> None:
    failed = {
        "spec": {},
        "status": {"conditions": [condition("FailureTarget"), condition("Failed", "Why", "so")]},
    }
    assert indexed_job.verdict(failed) == Verdict(is_failed=True, message="Why: so")
    assert indexed_job.verdict({"spec": {"suspend": True}}) == Verdict(is_suspended=True)
    going = {"spec": {}, "status": {"conditions": [condition("FailureTarget")]}}
    assert indexed_job.verdict(going) == Verdict()
    complete = {"spec": {}, "status": {"conditions": [condition("Complete", "AllJobsCompleted", "done")]}}
    assert trainjob.verdict(complete).is_complete
    resumed = {"type": "Suspended", "status": "False", "reason": "Resumed", "message": ""}
    assert trainjob.verdict({"spec": {"suspend": False}, "status": {"conditions": [resumed]}}) == Verdict()


def test_the_run_owns_the_job_or_else_the_steps_pod() -> None:
    workflow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "name": "run",
        "uid": "w",
        "controller": True,
    }
    containers = [{"name": "wait", "image": "argo"}, {"name": "main", "image": "lockgate/trainer:1"}]
    given: dict[str, Any] = {
        "metadata": {"name": "step", "namespace": "ns", "uid": "p", "ownerReferences": [workflow]},
        "spec": {"containers": containers},
    }
    found = described(given)
    assert found.image == "lockgate/trainer:1"
    assert found.owner == {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "name": "run",
        "uid": "w",
    }
    del given["metadata"]["ownerReferences"]
    assert described(given).owner == {"apiVersion": "v1", "kind": "Pod", "name": "step", "uid": "p"}
