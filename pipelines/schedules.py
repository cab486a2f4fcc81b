"""Recurring runs: declared in project.yaml, and the cluster made to follow.

Kubeflow Pipelines cannot change a recurring run, so a changed one is deleted and made anew. A digest of all
that was sent stands in its description and tells whether it has changed.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import kfp_server_api as api

from lockgate.errors import ClusterError
from lockgate.project import Project, Schedule
from lockgate.records import digest_of
from lockgate.workspace import Workspace
from pipelines.documents import Compiled
from pipelines.endpoint import Endpoint
from pipelines.refusals import EndpointError
from pipelines.runners import pipeline_arguments
from pipelines.submission import check_pipeline, check_source, experiment
from pipelines.workflow_size import check_arguments

MARK = re.compile(r"\[lockgate schedule ([0-9a-f]{16})\]")
DIGITS = 16

Kind = Literal["create", "replace", "delete", "keep", "leave", "clash"]
WORDS: Mapping[Kind, str] = {
    "create": "is new",
    "replace": "has changed: it is deleted and made again",
    "delete": "is no longer declared",
    "keep": "is as declared",
    "leave": "is not ours: left as it is",
    "clash": "is not ours, and has the name that ours needs",
}


@dataclass(frozen=True)
class Wanted:
    """A recurring run as declared: its name on the cluster, and the digest of all that it is made of."""

    name: str
    digest: str


@dataclass(frozen=True)
class Found:
    """A recurring run on the cluster; `digest` is None where `lockgate schedule` did not make it."""

    id: str
    name: str
    digest: str | None


@dataclass(frozen=True)
class Action:
    """What is to be done about one recurring run; `id` is that of the one on the cluster, if any."""

    kind: Kind
    name: str
    id: str = ""

    def sentence(self) -> str:
        """The action for a person."""
        return f"{self.name} {WORDS[self.kind]}"


def prefix(project: str) -> str:
    """What the names of a project's recurring runs begin with; a project's name has no dot."""
    return f"lockgate.{project}."


def plan(wanted: Iterable[Wanted], found: Iterable[Found], prefix: str) -> list[Action]:
    """What makes the cluster follow the declaration, by name; a second plan after it has only keeps.

    Ours are those with our prefix and our mark. Of several of the same name one is kept, one that is as
    declared if there is one. Without our mark nothing is touched; if it has a name that we need, it clashes.

    >>> a, b = Wanted("p.a", "1"), Wanted("p.b", "2")
    >>> [(x.kind, x.name) for x in plan([a, b], [Found("7", "p.b", "0"), Found("8", "p.c", "3")], "p.")]
    [('create', 'p.a'), ('replace', 'p.b'), ('delete', 'p.c')]
    """
    declared = {each.name: each for each in wanted}
    near = [each for each in found if each.name.startswith(prefix)]
    actions = []
    for name in sorted(declared.keys() | {each.name for each in near}):
        foreign = [each for each in near if each.name == name and each.digest is None]
        ours = [each for each in near if each.name == name and each.digest is not None]
        kind: Kind = "clash" if name in declared else "leave"
        actions += [Action(kind, name, each.id) for each in foreign]
        if name not in declared:
            actions += [Action("delete", name, each.id) for each in ours]
        elif not ours:
            actions += [] if foreign else [Action("create", name)]
        else:
            same = declared[name].digest
            first, *others = sorted(ours, key=lambda each: each.digest != same)
            actions.append(Action("keep" if first.digest == same else "replace", name, first.id))
            actions += [Action("delete", name, each.id) for each in others]
    return actions


def declared(
    endpoint: Endpoint, project: Project, folder: Path, workspace: Workspace, pipeline: Compiled
) -> dict[str, api.V2beta1RecurringRun]:
    """The recurring runs of project.yaml by their names on the cluster, as they would be sent.

    What a run collects is not known yet, so its collect step is never taken from the cache.

    Raises:
        ConfigError: the source cannot be read on a cluster, or the pipeline has a fault.
        EndpointError: the API refuses the experiment.
    """
    if not project.schedules:
        return {}
    check_source(project)
    check_pipeline(pipeline)
    arguments = pipeline_arguments(project, folder, workspace, look_at_source=False)
    check_arguments(arguments)
    body, group = pipeline.uncached("collect").body(), experiment(endpoint, project)

    def made(name: str, schedule: Schedule) -> api.V2beta1RecurringRun:
        run = api.V2beta1RecurringRun(
            display_name=prefix(project.name) + name,
            experiment_id=group,
            pipeline_spec=body,
            runtime_config=api.V2beta1RuntimeConfig(parameters=dict(arguments)),
            service_account=project.cluster.service_account,
            max_concurrency=str(schedule.max_concurrency),
            no_catchup=not schedule.catch_up,
            mode=api.RecurringRunMode.ENABLE if schedule.enabled else api.RecurringRunMode.DISABLE,
            trigger=api.V2beta1Trigger(cron_schedule=api.V2beta1CronSchedule(cron=schedule.cron)),
        )
        digest = digest_of(api.ApiClient().sanitize_for_serialization(run))[:DIGITS]
        run.description = f"Declared in project.yaml of {project.name}. [lockgate schedule {digest}]"
        return run

    runs = [made(name, schedule) for name, schedule in project.schedules.items()]
    return {run.display_name: run for run in runs}


def found_on(endpoint: Endpoint) -> list[Found]:
    """All recurring runs of the installation, or of our namespace where it is shared.

    Raises:
        EndpointError: the API does not answer, or refuses.
    """
    known = endpoint.recurring.recurring_run_service_list_recurring_runs
    runs = endpoint.everything(known, "recurring_runs", **endpoint.scope)
    return [Found(run.recurring_run_id, run.display_name or "", _digest(run)) for run in runs]


def _digest(run: api.V2beta1RecurringRun) -> str | None:
    mark = MARK.search(run.description or "")
    return mark[1] if mark else None


def reconcile(
    endpoint: Endpoint,
    project: Project,
    wanted: Mapping[str, api.V2beta1RecurringRun],
    is_trial: bool,
    tell: Callable[[Action], None],
) -> list[Action]:
    """Plans and, unless it is a trial, does it; tells every action before it is done.

    Raises:
        ClusterError: a name that is needed is taken; nothing was changed.
        EndpointError: the API refuses; what was done stays done, and the next call goes on from there.
    """
    runs = [Wanted(name, _digest(run) or "") for name, run in wanted.items()]
    actions = plan(runs, found_on(endpoint), prefix(project.name))
    for action in actions:
        tell(action)
        if action.kind == "clash" and not is_trial:
            raise ClusterError(
                f"A recurring run {action.name!r} is there that `lockgate schedule` did not make.",
                "It is not changed, and two of the same name would both start runs.",
                "Delete it in the dashboard, or give the schedule another name in project.yaml.",
            )
    if not is_trial:
        for action in actions:
            _do(endpoint, action, wanted)
    return actions


def _do(endpoint: Endpoint, action: Action, wanted: Mapping[str, api.V2beta1RecurringRun]) -> None:
    if action.kind in ("replace", "delete"):
        try:
            endpoint.ask(endpoint.recurring.recurring_run_service_delete_recurring_run, action.id)
        except EndpointError as error:
            if error.status != 404:  # another has deleted it meanwhile
                raise
    if action.kind in ("replace", "create"):
        mark = _digest(wanted[action.name])

        def find() -> Any:
            known = endpoint.recurring.recurring_run_service_list_recurring_runs
            scope = {"filter": endpoint.named(action.name), **endpoint.scope}
            runs = endpoint.everything(known, "recurring_runs", **scope)
            return next((run for run in runs if _digest(run) == mark), None)

        create = endpoint.recurring.recurring_run_service_create_recurring_run
        endpoint.create(create, wanted[action.name], find)
