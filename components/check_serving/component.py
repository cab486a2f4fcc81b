"""Check serving: the serving gate."""

from kfp import dsl

from components.image import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def check_serving(
    settings: str,
    workspace: str,
    snapshot: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    evaluation: dsl.Input[dsl.Artifact],
    record: dsl.Output[dsl.Artifact],
    verdict: dsl.Output[dsl.Artifact],
    page: dsl.Output[dsl.HTML],
) -> bool:
    """Serves the model in a fresh process and demands training's own predictions over HTTP.

    Args:
        settings: What the step is to know of project.yaml, as JSON.
        workspace: The folder that outlives the run.
        snapshot: The frozen data; its test rows are sent.
        model: The exported model.
        evaluation: The decision threshold.
        record: What was measured, as JSON.
        verdict: Parity, load time, latency and memory against their limits.
        page: The serving page.

    Returns:
        Whether the serving gate is open.
    """
    from lockgate.steps.check_serving import check_serving as step

    return step(
        settings,
        workspace,
        snapshot=snapshot.path,
        model=model.path,
        evaluation=evaluation.path,
        record=record.path,
        verdict=verdict.path,
        page=page.path,
    )
