"""`lockgate report`."""

from pathlib import Path

from lockgate.cli.place import Place
from lockgate.cli.view import shown_path


def write_report(project: Path, workspace: str | None, run_name: str | None) -> None:
    """Writes a run's report from its records and prints its path.

    Raises:
        ConfigError: there is no such run.
    """
    from lockgate.report.whole import write_report as write

    place = Place.find(project, workspace)
    run = place.last_run(run_name)
    write(place.project, run, place.workspace)
    print(shown_path(run.report))
