"""`lockgate serve`."""

from pathlib import Path

from lockgate.cli.place import Place


def serve_model(project: Path, workspace: str | None, port: int, model: str | None) -> None:
    """Serves a pushed model until Ctrl-C.

    Raises:
        ServingError: nothing was pushed yet, or there is no model of that digest.
    """
    from lockgate.shipping.serve import serve

    place = Place.find(project, workspace)
    serve(place.workspace, place.project.name, port, model)
