"""Recurring runs: what is planned, and that the cluster follows, against an API on loopback."""

import kfp_server_api as api
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.config import read_project
from lockgate.errors import ClusterError, ConfigError
from lockgate.project.cron import check_cron
from lockgate.workspace import Workspace
from pipelines.documents import training
from pipelines.endpoint import Endpoint
from pipelines.schedules import Found, Wanted, declared, plan, reconcile
from tests.conftest import change_project
from tests.pipelines.kfp_api import KfpApi

BUCKET = "gs://bucket/penguins"
NIGHTLY = {"nightly": {"cron": "0 0 3 * * *"}, "weekly": {"cron": "0 30 4 * * SUN", "enabled": False}}
OURS = ["lockgate.penguins.nightly", "lockgate.penguins.weekly"]


@pytest.fixture(scope="module")
def pipeline():
    return training()


@pytest.fixture
def server():
    with KfpApi() as running:
        yield running


@pytest.fixture
def folder(example):
    return example("penguins", cluster={"workspace": BUCKET}, schedules=NIGHTLY)


class Scheduler:
    """`lockgate schedule` on a folder, in this process."""

    def __init__(self, server, folder, pipeline):
        self.server, self.folder, self.pipeline = server, folder, pipeline

    def __call__(self, *, is_trial=False, **changes):
        change_project(self.folder, changes)
        project = read_project(self.folder)
        client = Endpoint(self.server.url, "team", sleep=lambda seconds: None).connect()
        wanted = declared(client, project, self.folder, Workspace(BUCKET), self.pipeline)
        actions = reconcile(client, project, wanted, is_trial, lambda action: None)
        return [(action.kind, action.name.rpartition(".")[2]) for action in actions]

    @property
    def names(self):
        return sorted(run.display_name for run in self.server.recurring)


@pytest.fixture
def schedule(server, folder, pipeline):
    return Scheduler(server, folder, pipeline)


def test_what_is_missing_is_created_with_all_that_is_declared(schedule, server):
    assert schedule() == [("create", "nightly"), ("create", "weekly")]
    assert schedule.names == OURS
    nightly, weekly = server.recurring
    assert nightly.trigger.cron_schedule.cron == "0 0 3 * * *"
    assert (nightly.mode, weekly.mode) == ("ENABLE", "DISABLE")
    assert (nightly.max_concurrency, nightly.no_catchup) == ("1", True)
    assert nightly.runtime_config.parameters["workspace"] == BUCKET
    assert nightly.pipeline_spec["root"]["dag"]["tasks"]["collect"]["cachingOptions"] == {}


def test_a_second_call_changes_nothing(schedule, server):
    schedule()
    before = [run.recurring_run_id for run in server.recurring]
    assert schedule() == [("keep", "nightly"), ("keep", "weekly")]
    assert [run.recurring_run_id for run in server.recurring] == before


@pytest.mark.parametrize(
    "change",
    [
        {"schedules.nightly.cron": "0 0 4 * * *"},
        {"schedules.nightly.enabled": False},
        {"schedules.nightly.catch_up": True},
        {"schedules.nightly.max_concurrency": 2},
    ],
)
def test_what_has_changed_is_deleted_and_made_again(schedule, server, change):
    schedule()
    old = {run.display_name: run.recurring_run_id for run in server.recurring}
    assert schedule(**change) == [("replace", "nightly"), ("keep", "weekly")]
    new = {run.display_name: run.recurring_run_id for run in server.recurring}
    assert new.keys() == old.keys()
    assert new[OURS[0]] != old[OURS[0]]
    assert new[OURS[1]] == old[OURS[1]]


def test_another_training_replaces_all(schedule):
    """What a recurring run does was fixed when it was made."""
    schedule()
    assert schedule(**{"train.epochs": 3}) == [("replace", "nightly"), ("replace", "weekly")]


def test_what_is_no_longer_declared_is_deleted(schedule):
    schedule()
    assert schedule(schedules={"weekly": NIGHTLY["weekly"]}) == [("delete", "nightly"), ("keep", "weekly")]
    assert schedule.names == OURS[1:]
    assert schedule(schedules={}) == [("delete", "weekly")]
    assert schedule.names == []


def test_other_projects_and_people_are_left_alone(schedule, server):
    """Five of them, on three pages."""
    others = [
        "lockgate.penguins2.nightly",
        "lockgate.other.x",
        "lockgate.penguins.by-hand",
        "somebody",
        "else",
    ]
    server.recurring = [
        api.V2beta1RecurringRun(recurring_run_id=f"x{n}", display_name=name, description="by hand")
        for n, name in enumerate(others)
    ]
    server.recurring[1].description = "Declared. [lockgate schedule 0123456789abcdef]"
    assert schedule() == [("leave", "by-hand"), ("create", "nightly"), ("create", "weekly")]
    assert schedule(schedules={}) == [("leave", "by-hand"), ("delete", "nightly"), ("delete", "weekly")]
    assert schedule.names == sorted(others)


def test_a_name_that_somebody_else_has_stops_it_before_anything_is_changed(schedule, server):
    server.recurring = [api.V2beta1RecurringRun(recurring_run_id="x", display_name=OURS[1], description="")]
    with pytest.raises(ClusterError, match=r"did not make.*another name in project\.yaml"):
        schedule()
    assert schedule.names == [OURS[1]]
    assert schedule(is_trial=True) == [("create", "nightly"), ("clash", "weekly")]


def test_a_trial_changes_nothing(schedule):
    assert schedule(is_trial=True) == [("create", "nightly"), ("create", "weekly")]
    assert schedule.names == []


def test_a_call_that_broke_off_is_completed_by_the_next(schedule, server):
    """It breaks between deleting and creating."""
    schedule()
    server.faults.append(("POST", "recurringruns", 400))
    with pytest.raises(ClusterError, match="400"):
        schedule(**{"schedules.nightly.cron": "0 0 5 * * *"})
    assert schedule.names == OURS[1:]
    assert schedule() == [("create", "nightly"), ("keep", "weekly")]


def test_one_whose_answer_was_lost_is_not_made_twice(schedule, server):
    server.faults.append(("POST", "recurringruns", "after"))
    schedule()
    assert schedule.names == OURS


def test_one_that_another_has_deleted_meanwhile_is_no_error(schedule, server):
    schedule()
    gone = server.recurring[0].recurring_run_id
    server.faults.append(("DELETE", f"recurringruns/{gone}", 404))
    assert schedule(schedules={"weekly": NIGHTLY["weekly"]})[0] == ("delete", "nightly")


def test_of_two_of_the_same_name_the_one_as_declared_is_kept():
    """Two calls at the same moment may both have made it."""
    there = [Found("1", "p.a", "old"), Found("2", "p.a", "new"), Found("3", "p.a", "new")]
    done = [(action.kind, action.id) for action in plan([Wanted("p.a", "new")], there, "p.")]
    assert done == [("keep", "2"), ("delete", "3"), ("delete", "1")]


NAMES = st.sampled_from(["p.a", "p.b", "p.c", "q.a"])
DIGESTS = st.sampled_from(["1", "2"])
WANTED = st.dictionaries(st.sampled_from(["p.a", "p.b", "p.c"]), DIGESTS)
ON_CLUSTER = st.lists(st.tuples(NAMES, st.none() | DIGESTS), max_size=6)


@settings(deadline=None)
@given(WANTED, ON_CLUSTER)
def test_a_plan_done_is_a_plan_that_keeps_and_touches_nothing_foreign(wanted, there):
    declaration = [Wanted(name, digest) for name, digest in wanted.items()]
    found = [Found(str(n), name, digest) for n, (name, digest) in enumerate(there)]
    after = {each.id: each for each in found}
    for number, action in enumerate(plan(declaration, found, "p.")):
        if action.kind in ("delete", "replace"):
            assert after.pop(action.id).digest is not None
            assert action.name.startswith("p.")
        if action.kind in ("create", "replace"):
            after[f"new-{number}"] = Found(f"new-{number}", action.name, wanted[action.name])
    again = plan(declaration, after.values(), "p.")
    assert {action.kind for action in again} <= {"keep", "leave", "clash"}
    foreign = {each.name for each in found if each.digest is None}
    ours = sorted(each.name for each in after.values() if each.name.startswith("p.") and each.digest)
    assert set(ours) <= wanted.keys()
    assert len(ours) == len(set(ours))
    assert wanted.keys() - foreign <= set(ours)
    assert {each.id for each in found if each.digest is None or each.name == "q.a"} <= after.keys()


@pytest.mark.parametrize(
    "cron", ["0 0 3 * * *", "0 */15 8-18 ? JAN,MAR-JUN mon-fri", "59 59 23 31 12 6", "0 0/10 * 1-15/2 * ?"]
)
def test_a_cron_expression_of_six_fields_is_taken(cron):
    assert check_cron(cron) == cron


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("0 3 * * *", "has 5 fields, and six are needed; put the seconds first"),
        ("@daily", "has 1 fields, and six are needed"),
        ("0 0 24 * * *", "the hour '24' must lie in 0 to 23"),
        ("0 0 3 * * 7", "the day of the week '7' must lie in 0 to 6, or SUN to SAT"),
        ("0 0 3 0 * *", "the day of the month '0' must lie in 1 to 31"),
        ("0 */0 * * * *", "the minute '*/0' has a step that is no whole number above 0"),
        ("0 0 9-5 * * *", "the hour '9-5' runs backwards"),
        ("0 0 3 * MÄR *", "the month 'MÄR' must lie in 1 to 12, or JAN to DEC"),
        ("0 0 3-4-5 * * *", "the hour '3-4-5' must lie in 0 to 23"),
        ("0 -5 3 * * *", "the minute '-5' must lie"),
    ],
)
def test_any_other_is_refused_with_the_field_that_is_wrong(cron, words):
    with pytest.raises(ValueError, match=r"03:00 UTC") as refused:
        check_cron(cron)
    assert words in str(refused.value)


def test_a_wrong_cron_expression_is_an_error_of_project_yaml(folder):
    change_project(folder, {"schedules.nightly.cron": "0 3 * * *"})
    with pytest.raises(ConfigError, match=r"schedules\.nightly\.cron: '0 3 \* \* \*' has 5 fields"):
        read_project(folder)


def test_the_command_line_shows_the_plan_and_does_it(folder, server, lockgate, monkeypatch):
    monkeypatch.setenv("KFP_ENDPOINT", server.url)
    trial = lockgate("schedule", folder, "--dry-run")
    assert trial.returncode == 0, trial.stderr
    assert "lockgate.penguins.nightly is new" in trial.stdout
    assert "Nothing was changed." in trial.stdout
    assert server.recurring == []
    done = lockgate("schedule", folder)
    assert done.returncode == 0, done.stderr
    assert len(server.recurring) == 2
    assert "is as declared" in lockgate("schedule", folder).stdout
