"""The serving gate: the exported model, served for real, against training and the budget."""

import tempfile
from pathlib import Path

from lockgate.data.snapshot import load, read
from lockgate.evaluation.record import EvaluationRecord
from lockgate.features.raw import encode
from lockgate.shipping.card import example
from lockgate.shipping.folder import ServingSpec, stage
from lockgate.shipping.gate import judge
from lockgate.shipping.trial import TrainingPath, try_out
from lockgate.steps.step import Outcome, Run, step
from lockgate.storage import explained
from lockgate.training.spec import ModelSpec


@step
def check_serving(
    run: Run, snapshot: Path, model: Path, evaluation: Path, *, record: Path, verdict: Path, page: Path
) -> Outcome:
    """Writes `record` (ServingRecord), `verdict` of the serving gate and its `page`.

    What is served is the folder that `push` would make, threshold and all.

    Raises:
        ServingError: the server does not start or stops answering.
    """
    frozen = load(snapshot)
    spec = ModelSpec.load(model / "model.json")
    judged = EvaluationRecord.load(evaluation / "evaluation.json")
    test = read(run.workspace, frozen, "test", [column.name for column in spec.inputs])

    def training_path() -> TrainingPath:
        from lockgate.training.predict import training_path as rebuilt

        predict = rebuilt(model)
        return lambda frame: predict(encode(frame, spec.inputs))

    with explained(run.workspace.root):
        run.workspace.root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=run.workspace.root, prefix=".serving-") as folder:
            staged = Path(folder) / "model"
            stage(model, serving_spec(judged), example(test, spec), staged)
            run.tell("starting the model server in a fresh process")
            measured = try_out(staged, test, run.project.serving, training_path, run.tell)
    decision = judge(measured)
    measured.save(record)
    decision.save(verdict)

    from lockgate.report.pages import serving

    page.write_text(serving(run.project.name, measured, decision), encoding="utf-8")
    return Outcome(message=decision.sentence(), rows=measured.rows, is_open=decision.is_open)


def serving_spec(evaluation: EvaluationRecord) -> ServingSpec:
    """How scores become decisions: by the threshold that the evaluation chose."""
    return ServingSpec(threshold=evaluation.threshold.value) if evaluation.threshold else ServingSpec()
