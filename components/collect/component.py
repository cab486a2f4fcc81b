"""Collect: freeze the raw data."""

from kfp import dsl

from components.image import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def collect(settings: str, workspace: str, snapshot: dsl.Output[dsl.Dataset]) -> bool:
    """Reads the source, splits its rows and freezes them as immutable Parquet partitions.

    Args:
        settings: What the step is to know of project.yaml, as JSON.
        workspace: The folder that outlives the run; partitions are kept there.
        snapshot: snapshot.json: content digest, rows, columns, time range, source, partitions.

    Returns:
        Always true; input that cannot be read ends the step with an error.
    """
    from lockgate.steps.collect import collect as step

    return step(settings, workspace, snapshot=snapshot.path)
