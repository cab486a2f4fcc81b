"""The step that judges the model on the frozen test split: the model gate."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lockgate.data.label import encode_label, labelled
from lockgate.data.snapshot import load, read, schema_of
from lockgate.errors import DataError
from lockgate.evaluation.evaluate import Material, Predictions
from lockgate.evaluation.evaluate import evaluate as evaluated
from lockgate.evaluation.metrics import require_metric
from lockgate.evaluation.model_gate import judge
from lockgate.evaluation.models import baselines, champion, predictor
from lockgate.features.raw import encode
from lockgate.project import Project
from lockgate.records import Snapshot
from lockgate.steps.step import Outcome, Run, step
from lockgate.training.spec import ModelSpec


@step
def evaluate(
    run: Run, snapshot: Path, model: Path, training: Path, *, evaluation: Path, verdict: Path, page: Path
) -> Outcome:
    """Writes `evaluation` (evaluation.json), the `verdict` of the model gate and its `page`.

    Raises:
        ConfigError: the main metric, or a column of a slice or group, is not known.
        DataError: the test split has no row with a label.
    """
    require_metric(run.project.metric, run.project.task)
    data = load(snapshot)
    material = gather(run, data, model, training)
    record = evaluated(run.project, material, run.tell)
    decision = judge(record, run.project)
    evaluation.mkdir(parents=True, exist_ok=True)
    record.save(evaluation / "evaluation.json")
    decision.save(verdict)

    from lockgate.report.pages import evaluation as page_of

    page.write_text(page_of(run.project.name, record, decision), encoding="utf-8")
    return Outcome(message=decision.sentence(), rows=record.rows, is_open=decision.is_open)


def gather(run: Run, data: Snapshot, model: Path, training: Path) -> Material:
    """Reads the labelled rows of tune and test, and lets every model predict them.

    Raises:
        DataError: the test split has no row with a label.
    """
    spec = ModelSpec.load(model / "model.json")
    whole = read(run.workspace, data, "test")
    test = labelled(whole, run.project)
    if test.is_empty():
        raise DataError(
            f"None of the {whole.height:,} rows of the test split has a label ({run.project.data.label!r}).",
            "A model is judged on at least one labelled row.",
            "Set split.test in project.yaml to where the labels are known.",
        )
    tune = labelled(read(run.workspace, data, "tune"), run.project)
    run.tell("loading the model")
    network = predictor(model)
    fed = encode(test, spec.inputs)
    run.tell("predicting with the network, the baselines and the champion", tune.height + test.height)
    known, reigning = champion(run.workspace, spec, tune, test)
    others = baselines(training, tune.height, test.height)
    return Material(
        snapshot=data.content,
        classes=spec.classes,
        inputs=tuple(c.name for c in spec.inputs),
        train=read(run.workspace, data, "train", cut_by(run.project, data)),
        test=test,
        tune_labels=_labels(tune, run.project, spec),
        test_labels=_labels(test, run.project, spec),
        unlabelled=whole.height - test.height,
        network=Predictions("network", "network", network(encode(tune, spec.inputs)), network(fed)),
        others=(*others, reigning) if reigning else others,
        champion=known,
        predict=lambda part: network({c.tensor: part[c.name] for c in spec.inputs}),
        tensors={c.name: fed[c.tensor] for c in spec.inputs},
    )


def _labels(frame: pl.DataFrame, project: Project, spec: ModelSpec) -> NDArray[Any]:
    """Class indices as integers, values of a regression in full precision."""
    labels = encode_label(frame, project, spec.classes)
    return labels.astype(np.float64 if spec.task == "regression" else np.int64)


def cut_by(project: Project, data: Snapshot) -> list[str]:
    """The columns of the data that slices and groups are cut by."""
    named = [s.column for s in project.evaluate.slices] + list(project.evaluate.fairness)
    there = schema_of(data)
    return [name for name in dict.fromkeys(named) if name in there]
