"""`lockgate pipeline manifest` and `lockgate pipeline doctor`."""

from pathlib import Path

from lockgate.cli.view import shown_path
from lockgate.config import read_project


def write_manifests(project: Path, workspace: str | None, out: Path | None) -> None:
    """Writes the pipeline's Kubernetes objects and prints which files have changed.

    Raises:
        LockgateError: the project cannot run on a cluster, or the folder cannot be written.
    """
    from pipelines.documents import training
    from pipelines.manifest import manifests, write
    from pipelines.runners import pipeline_arguments
    from pipelines.submission import check_pipeline, check_source, cluster_workspace

    found, folder = read_project(project), project if project.is_dir() else project.parent
    place = cluster_workspace(found, workspace)
    check_source(found)
    pipeline = training(found.cluster.images)
    check_pipeline(pipeline)
    arguments = pipeline_arguments(found, folder.resolve(), place, look_at_source=False)
    target = out or Path("manifests") / "pipelines" / found.name
    changed = write(target.resolve(), manifests(found, pipeline, arguments))
    for path in changed:
        print(f"wrote {shown_path(path)}")
    if not changed:
        print(f"{shown_path(target.resolve())} is as it should be; nothing changed.")


def examine(path: Path | None) -> int:
    """Prints the doctor's findings on a compiled pipeline or a project's; returns 1 where one is an error.

    Raises:
        ConfigError: the file cannot be read, or is no compiled pipeline.
    """
    from pipelines.doctor import findings
    from pipelines.documents import Compiled, training

    if path is None:
        looked_at = training()
    elif path.is_dir():
        looked_at = training(read_project(path).cluster.images)
    else:
        looked_at = Compiled.read(path)
    found = findings(looked_at)
    for finding in found:
        print(finding.sentence())
    return 1 if any(finding.level == "error" for finding in found) else 0
