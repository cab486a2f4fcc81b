"""`lockgate schedule`."""

from pathlib import Path

from lockgate.cli.submit import connected
from lockgate.config import read_project


def reconcile_schedules(project: Path, endpoint: str | None, workspace: str | None, dry_run: bool) -> None:
    """Makes the recurring runs those of project.yaml and prints a line for each.

    Raises:
        LockgateError: they cannot be made, or the API does not answer.
    """
    from pipelines.documents import training
    from pipelines.schedules import declared, reconcile
    from pipelines.submission import cluster_workspace

    found, folder = read_project(project), project if project.is_dir() else project.parent
    api = connected(found, endpoint)
    wanted = {}
    if found.schedules:
        wanted = declared(
            api, found, folder.resolve(), cluster_workspace(found, workspace), training(found.cluster.images)
        )
    actions = reconcile(api, found, wanted, dry_run, lambda action: print(action.sentence()))
    if not actions:
        print("project.yaml declares no schedules, and there are none of its own.")
    elif dry_run:
        print("Nothing was changed.")
