"""Sends the training pipeline to a Kubeflow Pipelines API and follows the run."""

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kfp_server_api as api

from lockgate.config import function_of
from lockgate.errors import ClusterError, ConfigError
from lockgate.project import Project
from lockgate.storage import BUCKET_SCHEME
from lockgate.workspace import Workspace
from pipelines.doctor import findings
from pipelines.documents import Compiled
from pipelines.endpoint import Endpoint
from pipelines.refusals import EndpointError
from pipelines.run_state import RunState, run_state
from pipelines.runners import pipeline_arguments
from pipelines.workflow_size import check_arguments

ARCHIVED = "ARCHIVED"


@dataclass(frozen=True)
class Pace:
    """How often a run is looked at, in seconds: often after a change, more rarely while nothing happens.

    `patience` is how many looks in a row may fail, about ten minutes, before following is given up.
    """

    shortest: float = 1.0
    longest: float = 15.0
    growth: float = 1.5
    patience: int = 40


def cluster_workspace(project: Project, option: str | None) -> Workspace:
    """The workspace of runs on a cluster: the option, else cluster.workspace of project.yaml.

    Raises:
        ConfigError: none is set, or it is not in a bucket.
    """
    address = option or project.cluster.workspace
    if not address or not address.startswith(BUCKET_SCHEME):
        found = f"The workspace {address!r} is not in a bucket." if address else "No workspace is set."
        raise ConfigError(
            found,
            "On a cluster every step is a pod of its own; a folder of this machine is not there.",
            "Set cluster.workspace in project.yaml, or give --workspace gs://bucket/path.",
        )
    return Workspace(address)


def check_source(project: Project) -> None:
    """A source must be where pods can read it.

    Raises:
        ConfigError: it is a path of this machine.
    """
    source = project.data.source
    if source.startswith(BUCKET_SCHEME) or function_of(source):
        return
    raise ConfigError(
        f"data.source is a path of this machine: {source}.",
        "On a cluster it is gs://…, or file.py:function, which runs in the collect step's pod.",
        "Copy the data into a bucket and name it in project.yaml.",
    )


def check_pipeline(pipeline: Compiled) -> None:
    """What the doctor calls an error is not sent.

    Raises:
        ConfigError: there is one.
    """
    found = [finding.sentence() for finding in findings(pipeline) if finding.level == "error"]
    if found:
        raise ConfigError(
            f"The pipeline cannot be sent: {'; '.join(found)}.",
            "Images come from cluster.images in project.yaml, LOCKGATE_REGISTRY and LOCKGATE_TAG.",
            "Mend them; `lockgate pipeline doctor FOLDER` looks again.",
        )


def is_told_by_files(project: Project) -> bool:
    """Whether the source's files tell if the data has changed; a function may read anything."""
    return not function_of(project.data.source)


def submit(
    endpoint: Endpoint, project: Project, folder: Path, workspace: Workspace, pipeline: Compiled
) -> str:
    """Starts a run and returns its id.

    The pipeline goes along inline: one request, nothing is left behind, and the run shows what was sent.
    The collect step may be taken from the cache only where the source's files are among its inputs.

    Raises:
        ConfigError: the source cannot be read on a cluster, or the pipeline has a fault.
        EndpointError: the API refuses.
    """
    check_source(project)
    check_pipeline(pipeline)
    arguments = pipeline_arguments(project, folder, workspace)
    check_arguments(arguments)
    sent = pipeline if is_told_by_files(project) else pipeline.uncached("collect")
    name = f"{project.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    run = api.V2beta1Run(
        display_name=name,
        description=project.description or None,
        experiment_id=experiment(endpoint, project),
        pipeline_spec=sent.body(),
        runtime_config=api.V2beta1RuntimeConfig(parameters=dict(arguments)),
        service_account=project.cluster.service_account,
    )

    def find() -> Any:
        runs = endpoint.runs.run_service_list_runs
        scope = {"experiment_id": run.experiment_id, "filter": endpoint.named(name)}
        return next(endpoint.everything(runs, "runs", **scope), None)

    return str(endpoint.create(endpoint.runs.run_service_create_run, run, find).run_id)


def experiment(endpoint: Endpoint, project: Project) -> str:
    """The id of the project's experiment, which is made where it is not there yet.

    Raises:
        ClusterError: it is archived, or the API refuses.
    """
    name = project.cluster.experiment or project.name

    def find() -> Any:
        known = endpoint.experiments.experiment_service_list_experiments
        matching = {"filter": endpoint.named(name), **endpoint.scope}
        return next(endpoint.everything(known, "experiments", **matching), None)

    if (found := find()) is None:
        body = api.V2beta1Experiment(display_name=name, **endpoint.scope)
        create = endpoint.experiments.experiment_service_create_experiment
        try:
            found = endpoint.create(create, body, find)
        except EndpointError as error:
            if error.status != 409 or (found := find()) is None:  # another has made it meanwhile
                raise
    if found.storage_state == ARCHIVED:
        raise ClusterError(
            f"The experiment {name!r} is archived.",
            "An archived experiment takes no runs.",
            "Restore it in the dashboard, or name another one in cluster.experiment.",
        )
    return str(found.experiment_id)


def follow(
    endpoint: Endpoint,
    run_id: str,
    pipeline: Compiled,
    pace: Pace = Pace(),
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[RunState]:
    """Yields what the run has come to, whenever it was looked at, until it is over.

    Raises:
        EndpointError: there is no such run, or the API has not answered for long.
    """
    titles, pause, failures, before = pipeline.titles(), pace.shortest, 0, None
    while True:
        try:
            found = endpoint.tell(endpoint.runs.run_service_get_run, run_id)
        except EndpointError as error:
            failures += 1
            if not error.may_pass or failures > pace.patience:
                raise
        else:
            failures = 0
            state = run_state(found, titles, datetime.now(UTC))
            yield state
            if state.is_over:
                return
            seen = [(task.name, task.state) for task in state.tasks]
            pause = pace.shortest if seen != before else pause
            before = seen
        sleep(pause)
        pause = min(pause * pace.growth, pace.longest)


def stop(endpoint: Endpoint, run_id: str) -> None:
    """Ends a run before its time; it will show as failed.

    Raises:
        EndpointError: there is no such run, or it is over.
    """
    endpoint.ask(endpoint.runs.run_service_terminate_run, run_id)
