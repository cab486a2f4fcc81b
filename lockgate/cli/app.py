"""The commands and their options; what they do stands in the modules beside this one."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lockgate import __version__
from lockgate.cli.rollout_app import app as rollout_app
from lockgate.cli.view import print_error
from lockgate.errors import LockgateError
from lockgate.process import collect_rarely
from lockgate.run_folder import Step

app = typer.Typer(
    help="From a tabular data set to a served, watched TensorFlow model, gate by gate.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
schema_app = typer.Typer(help="The schema that the data gate holds the data against.", no_args_is_help=True)
app.add_typer(schema_app, name="schema")
pipeline_app = typer.Typer(
    help="The pipeline on a cluster: its objects, its faults, its runs.", no_args_is_help=True
)
app.add_typer(pipeline_app, name="pipeline")
app.add_typer(rollout_app, name="rollout")

ProjectArgument = Annotated[
    Path, typer.Argument(help="The folder that holds project.yaml, such as examples/flights.")
]
WorkspaceOption = Annotated[
    str | None,
    typer.Option(
        "--workspace",
        help="The folder, or gs://bucket/path, that outlives runs. Default: .lockgate beside project.yaml.",
    ),
]
BucketOption = Annotated[
    str | None,
    typer.Option("--workspace", help="gs://bucket/path, which outlives runs. Default: cluster.workspace."),
]
EndpointOption = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        help="URL of the Kubeflow Pipelines API. Default: KFP_ENDPOINT, else cluster.endpoint.",
    ),
]
RunArgument = Annotated[str, typer.Argument(help="The id of a run, as `lockgate submit` shows it.")]


@app.command()
def run(
    project: ProjectArgument = Path(),
    workspace: WorkspaceOption = None,
    from_step: Annotated[
        Step | None,
        typer.Option("--from", help="Take what has not changed before this step from earlier runs."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the last run where it was interrupted.")
    ] = False,
) -> None:
    """Run the pipeline on this machine: raw data through every gate to a pushed model."""
    from lockgate.cli.run import run_pipeline

    raise typer.Exit(run_pipeline(project, workspace, from_step, resume))


@app.command()
def validate(project: ProjectArgument = Path(), workspace: WorkspaceOption = None) -> None:
    """Collect the data and judge it, without training anything."""
    from lockgate.cli.validate import validate_data

    raise typer.Exit(validate_data(project, workspace))


@schema_app.command("accept")
def accept(project: ProjectArgument = Path(), workspace: WorkspaceOption = None) -> None:
    """Take the last run's data as right: write its schema beside project.yaml, for review in Git."""
    from lockgate.cli.schema import accept_schema

    accept_schema(project, workspace)


@app.command()
def serve(
    project: ProjectArgument = Path(),
    workspace: WorkspaceOption = None,
    port: Annotated[int, typer.Option(help="The port on 127.0.0.1.", min=1, max=65535)] = 8080,
    model: Annotated[str | None, typer.Option(help="A pushed model's digest. Default: the champion.")] = None,
) -> None:
    """Serve the pushed model on this machine by KServe's own server, until Ctrl-C."""
    from lockgate.cli.serve import serve_model

    serve_model(project, workspace, port, model)


@app.command()
def report(
    project: ProjectArgument = Path(),
    workspace: WorkspaceOption = None,
    run_name: Annotated[
        str | None, typer.Option("--run", help="A run's name, such as 20261121-101500. Default: the last.")
    ] = None,
) -> None:
    """Write a run's report again and say where it is."""
    from lockgate.cli.report import write_report

    write_report(project, workspace, run_name)


@app.command()
def submit(
    project: ProjectArgument = Path(),
    endpoint: EndpointOption = None,
    workspace: BucketOption = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Follow the run to its end, or only start it.")
    ] = True,
    cache: Annotated[
        bool, typer.Option("--cache/--no-cache", help="Take unchanged steps from earlier runs, or none.")
    ] = True,
) -> None:
    """Run the pipeline on Kubeflow Pipelines and follow it. A token comes from KFP_TOKEN."""
    from lockgate.cli.submit import submit_run

    raise typer.Exit(submit_run(project, endpoint, workspace, wait, cache))


@app.command()
def schedule(
    project: ProjectArgument = Path(),
    endpoint: EndpointOption = None,
    workspace: BucketOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done.")] = False,
) -> None:
    """Make the recurring runs on Kubeflow Pipelines those that project.yaml declares."""
    from lockgate.cli.schedule import reconcile_schedules

    reconcile_schedules(project, endpoint, workspace, dry_run)


@pipeline_app.command("follow")
def follow(run_id: RunArgument, project: ProjectArgument = Path(), endpoint: EndpointOption = None) -> None:
    """Follow a run that was submitted before, to its end."""
    from lockgate.cli.submit import follow_run

    raise typer.Exit(follow_run(run_id, project, endpoint))


@pipeline_app.command("stop")
def stop(run_id: RunArgument, project: ProjectArgument = Path(), endpoint: EndpointOption = None) -> None:
    """End a run before its time."""
    from lockgate.cli.submit import stop_run

    stop_run(run_id, project, endpoint)


@pipeline_app.command("manifest")
def manifest(
    project: ProjectArgument = Path(),
    workspace: BucketOption = None,
    out: Annotated[
        Path | None, typer.Option(help="A folder in Git. Default: manifests/pipelines/NAME.")
    ] = None,
) -> None:
    """Write the pipeline as Pipeline and PipelineVersion objects for GitOps."""
    from lockgate.cli.pipeline import write_manifests

    write_manifests(project, workspace, out)


@pipeline_app.command("doctor")
def doctor(
    path: Annotated[
        Path | None,
        typer.Argument(help="A project's folder, or a compiled pipeline. Default: Lockgate's pipeline."),
    ] = None,
) -> None:
    """Look for what a cluster or the local runner would do otherwise than the pipeline says."""
    from lockgate.cli.pipeline import examine

    raise typer.Exit(examine(path))


@app.command()
def version() -> None:
    """Show Lockgate's version."""
    print(__version__)


def main() -> None:
    """Runs the command line; errors that a user can mend are printed as sentences, not as tracebacks."""
    collect_rarely()
    try:
        app()
    except LockgateError as error:
        print_error(Console(stderr=True), error)
        sys.exit(error.exit_code)
