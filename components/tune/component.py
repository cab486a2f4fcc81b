"""Tune: search the settings that do best on the tune split."""

from kfp import dsl

from components.image import TRAINER_IMAGE


@dsl.component(base_image=TRAINER_IMAGE, install_kfp_package=False)
def tune(
    settings: str,
    workspace: str,
    features: dsl.Input[dsl.Dataset],
    parameters: dsl.Output[dsl.Artifact],
) -> bool:
    """Tries settings of the network and its training; with no trials asked for, passes project.yaml's on.

    Args:
        settings: What the step is to know of project.yaml, as JSON.
        workspace: The folder or bucket that outlives the run; an interrupted search goes on from there.
        features: The network's inputs.
        parameters: The chosen settings and every trial, as JSON.

    Returns:
        Always true.
    """
    from components.cluster.ports import ports
    from lockgate.steps.tune import tune as step

    return step(
        settings,
        workspace,
        ports=ports(settings),
        features=features.path,
        parameters=parameters.path,
    )
