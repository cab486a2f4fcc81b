"""Evaluate: the model gate."""

from kfp import dsl

from components.image import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def evaluate(
    settings: str,
    workspace: str,
    snapshot: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    training: dsl.Input[dsl.Artifact],
    evaluation: dsl.Output[dsl.Artifact],
    verdict: dsl.Output[dsl.Artifact],
    page: dsl.Output[dsl.HTML],
) -> bool:
    """Judges the model on the frozen test split: against limits, baselines and the champion.

    Args:
        settings: What the step is to know of project.yaml, as JSON.
        workspace: The folder that outlives the run; the champion is kept there.
        snapshot: The frozen data.
        model: The exported model.
        training: The baselines' predictions on the same rows.
        evaluation: evaluation.json: metrics with intervals, curves, slices, fairness, threshold, mistakes.
        verdict: Every rule with value, limit, baseline and rows.
        page: The evaluation page.

    Returns:
        Whether the model gate is open.
    """
    from lockgate.steps.evaluate import evaluate as step

    return step(
        settings,
        workspace,
        snapshot=snapshot.path,
        model=model.path,
        training=training.path,
        evaluation=evaluation.path,
        verdict=verdict.path,
        page=page.path,
    )
