"""Validate: the data gate."""

from kfp import dsl

from components.image import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def validate(
    settings: str,
    workspace: str,
    snapshot: dsl.Input[dsl.Dataset],
    statistics: dsl.Output[dsl.Artifact],
    verdict: dsl.Output[dsl.Artifact],
    page: dsl.Output[dsl.HTML],
) -> bool:
    """Computes statistics in one pass, holds them against the schema and the data gate's checks.

    Args:
        settings: What the step is to know of project.yaml and the reviewed schema, as JSON.
        workspace: The folder that outlives the run; earlier snapshots' statistics are kept there.
        snapshot: The frozen data.
        statistics: profile.json, statistics.pb, schema.pbtxt and anomalies.pb.
        verdict: Every check with value, limit, baseline and rows.
        page: The data page.

    Returns:
        Whether the data gate is open.
    """
    from lockgate.steps.validate import validate as step

    return step(
        settings,
        workspace,
        snapshot=snapshot.path,
        statistics=statistics.path,
        verdict=verdict.path,
        page=page.path,
    )
