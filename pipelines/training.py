"""The training pipeline."""

from kfp import dsl

from components.check_serving.component import check_serving
from components.collect.component import collect
from components.evaluate.component import evaluate
from components.push.component import push
from components.train.component import train
from components.transform.component import transform
from components.tune.component import tune
from components.validate.component import validate
from pipelines.pods import sized


@dsl.pipeline(name="lockgate-training", display_name="Lockgate training")
def training_pipeline(
    workspace: str,
    collect_settings: str,
    validate_settings: str,
    transform_settings: str,
    tune_settings: str,
    train_settings: str,
    evaluate_settings: str,
    check_serving_settings: str,
    push_settings: str,
) -> None:
    """From raw data to a judged, servable model.

    1. Collect: freeze the raw data as a snapshot.
    2. Validate: statistics, schema, the data gate. A closed gate stops the run at the next step.
    3. Transform: from raw columns to the network's inputs.
    4. Tune: search settings on the tune split.
    5. Train: the network, and the baselines that it must beat.
    6. Evaluate: the model gate, on the frozen test split. A rejected model ends the run here, well.
    7. Check serving: the same rows through training's and serving's path; load time, latency, memory.
    8. Push: an immutable model folder, its card and its manifest.
    """
    data = collect(settings=collect_settings, workspace=workspace)
    data.set_display_name("Collect the data")

    checked = validate(settings=validate_settings, workspace=workspace, snapshot=data.outputs["snapshot"])
    checked.set_display_name("Validate the data")

    inputs = transform(
        settings=transform_settings,
        workspace=workspace,
        snapshot=data.outputs["snapshot"],
        statistics=checked.outputs["statistics"],
        verdict=checked.outputs["verdict"],
    )
    inputs.set_display_name("Transform to features")

    tuned = tune(settings=tune_settings, workspace=workspace, features=inputs.outputs["features"])
    tuned.set_display_name("Tune the settings")

    trained = train(
        settings=train_settings,
        workspace=workspace,
        snapshot=data.outputs["snapshot"],
        features=inputs.outputs["features"],
        parameters=tuned.outputs["parameters"],
    )
    trained.set_display_name("Train the model")

    judged = evaluate(
        settings=evaluate_settings,
        workspace=workspace,
        snapshot=data.outputs["snapshot"],
        model=trained.outputs["model"],
        training=trained.outputs["training"],
    )
    judged.set_display_name("Evaluate the model").set_caching_options(False)  # depends on the champion
    sized(data, checked, inputs, tuned, trained, judged)

    with dsl.If(judged.outputs["Output"] == True, name="model-approved"):  # noqa: E712 - KFP builds a condition
        served = check_serving(
            settings=check_serving_settings,
            workspace=workspace,
            snapshot=data.outputs["snapshot"],
            model=trained.outputs["model"],
            evaluation=judged.outputs["evaluation"],
        )
        served.set_display_name("Check serving").set_caching_options(False)  # measures this machine

        pushed = push(
            settings=push_settings,
            workspace=workspace,
            snapshot=data.outputs["snapshot"],
            model=trained.outputs["model"],
            evaluation=judged.outputs["evaluation"],
            data_verdict=checked.outputs["verdict"],
            model_verdict=judged.outputs["verdict"],
            serving_verdict=served.outputs["verdict"],
        )
        pushed.set_display_name("Push the model").set_caching_options(False)  # an effect, not a value
        sized(served, pushed)
