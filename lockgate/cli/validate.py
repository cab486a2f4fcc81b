"""`lockgate validate`."""

from pathlib import Path

from rich.markup import escape

from lockgate.cli.place import Place
from lockgate.cli.view import Progress, print_failure, print_summary, shown_path, terminal
from lockgate.errors import GateClosed
from lockgate.records import Verdict
from lockgate.run_folder import RunFolder


def validate_data(project: Path, workspace: str | None) -> int:
    """Runs the steps collect and validate in this process; returns 0 where the data gate is open.

    Raises:
        LockgateError: the data cannot be read.
    """
    from lockgate.steps.collect import collect
    from lockgate.steps.validate import validate
    from pipelines.runners import logged, pipeline_arguments

    console = terminal()
    place = Place.find(project, workspace)
    with place.workspace.locked():
        arguments = pipeline_arguments(place.project, place.folder, place.workspace)
        run = RunFolder(place.workspace.new_run())
        address = place.workspace.address
        folder = run.path / "validation"
        paths = {name: folder / "validate" / name for name in ("statistics", "verdict", "page")}
        snapshot = folder / "collect" / "snapshot"
        with Progress(console, run.events).following(), logged(run):
            collect(arguments["collect_settings"], address, snapshot=snapshot)
            validate(arguments["validate_settings"], address, snapshot=snapshot, **paths)
    verdict = Verdict.load(paths["verdict"])
    print_summary(console, verdict.sentence(), {"page": shown_path(paths["page"])})
    for check in verdict.warnings:
        console.print(f"[yellow]![/yellow] {escape(f'{check.rule}: {check.message}')}", highlight=False)
    for check in verdict.errors:
        print_failure(console, f"{check.rule}: {check.message}", [check.advice])
    return 0 if verdict.is_open else GateClosed.exit_code
