"""Transform: from raw columns to the network's inputs."""

from kfp import dsl

from components.image import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def transform(
    settings: str,
    workspace: str,
    snapshot: dsl.Input[dsl.Dataset],
    statistics: dsl.Input[dsl.Artifact],
    verdict: dsl.Input[dsl.Artifact],
    features: dsl.Output[dsl.Dataset],
) -> bool:
    """Selects features, takes the constants of the Keras layers from the statistics, and applies them once.

    Args:
        settings: What the step is to know of project.yaml, as JSON.
        workspace: The folder that outlives the run.
        snapshot: The frozen data.
        statistics: What the validate step learnt of every column.
        verdict: The data gate's verdict; a closed gate stops the run here.
        features: spec.json and the network's inputs as Parquet, one folder a split.

    Returns:
        Always true; a closed data gate ends the step with an error.
    """
    from lockgate.steps.transform import transform as step

    return step(
        settings,
        workspace,
        snapshot=snapshot.path,
        statistics=statistics.path,
        verdict=verdict.path,
        features=features.path,
    )
