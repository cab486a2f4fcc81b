"""Train: the network and the baselines that it must beat."""

from kfp import dsl

from components.image import TRAINER_IMAGE


@dsl.component(base_image=TRAINER_IMAGE, install_kfp_package=False)
def train(
    settings: str,
    workspace: str,
    snapshot: dsl.Input[dsl.Dataset],
    features: dsl.Input[dsl.Dataset],
    parameters: dsl.Input[dsl.Artifact],
    model: dsl.Output[dsl.Model],
    training: dsl.Output[dsl.Artifact],
    page: dsl.Output[dsl.HTML],
) -> bool:
    """Trains with early stopping and checkpoints, and exports a model that takes raw values.

    Args:
        settings: What the step is to know of project.yaml, as JSON.
        workspace: The folder or bucket that outlives the run; checkpoints are kept there.
        snapshot: The frozen data; the baselines train on it.
        features: The network's inputs.
        parameters: The settings that tuning chose.
        model: The SavedModel with the transform inside, and model.json.
        training: training.json, the baselines' predictions, TensorBoard logs.
        page: The training page.

    Returns:
        Always true.
    """
    from components.cluster.ports import ports
    from lockgate.steps.train import train as step

    return step(
        settings,
        workspace,
        ports=ports(settings),
        snapshot=snapshot.path,
        features=features.path,
        parameters=parameters.path,
        model=model.path,
        training=training.path,
        page=page.path,
    )
