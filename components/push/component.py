"""Push: make the approved model available for serving."""

from kfp import dsl

from components.image import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def push(
    settings: str,
    workspace: str,
    snapshot: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    evaluation: dsl.Input[dsl.Artifact],
    data_verdict: dsl.Input[dsl.Artifact],
    model_verdict: dsl.Input[dsl.Artifact],
    serving_verdict: dsl.Input[dsl.Artifact],
    card: dsl.Output[dsl.Artifact],
) -> bool:
    """Writes the immutable model folder, named by its digest, and delivers it, if all three gates are open.

    Args:
        settings: What the step is to know of project.yaml, as JSON.
        workspace: The folder or bucket that outlives the run; models are kept there.
        snapshot: The frozen data that the model learnt from.
        model: The exported model.
        evaluation: Metrics and threshold, for the model card.
        data_verdict: The data gate's verdict.
        model_verdict: The model gate's verdict.
        serving_verdict: The serving gate's verdict.
        card: The model card, as JSON.

    Returns:
        Whether the model was pushed.
    """
    from components.cluster.ports import ports
    from lockgate.steps.push import push as step

    return step(
        settings,
        workspace,
        ports=ports(settings),
        snapshot=snapshot.path,
        model=model.path,
        evaluation=evaluation.path,
        data_verdict=data_verdict.path,
        model_verdict=model_verdict.path,
        serving_verdict=serving_verdict.path,
        card=card.path,
    )
