"""Puts the evaluation together: predictions of every model on the same rows in, one record out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lockgate.data.label import TRUE_TEXTS
from lockgate.errors import TrainingError
from lockgate.evaluation.compare import compare
from lockgate.evaluation.curves import against_the_rest, calibration, curves, histograms, residuals
from lockgate.evaluation.difference import difference
from lockgate.evaluation.fairness import fairness
from lockgate.evaluation.importance import Tensors, importance
from lockgate.evaluation.intervals import scores
from lockgate.evaluation.metrics import higher_is_better, measure, require_metric
from lockgate.evaluation.mistakes import mistakes
from lockgate.evaluation.record import (
    Champion,
    ClassScore,
    Comparison,
    Confusion,
    Difference,
    EvaluationRecord,
    Fairness,
    ModelScores,
    Role,
    Threshold,
)
from lockgate.evaluation.scored import Floats, Scored, confusion, shared_finite
from lockgate.evaluation.slices import edges_of, parts_of, require_column, score_slices, slice_parts
from lockgate.evaluation.threshold import choose, decide
from lockgate.project import Project

REPEATS = 3
SEED = 7
GROUP_RANGES = 4
MOST_GROUPS = 20


@dataclass(frozen=True)
class Predictions:
    """What one model predicts for the labelled rows of tune and test, in their order.

    `threshold` is the one that it is served with, of a binary model that is.
    """

    name: str
    role: Role
    tune: Floats
    test: Floats
    threshold: float | None = None


@dataclass(frozen=True)
class Material:
    """All that an evaluation is made from.

    Attributes:
        snapshot: content digest of the data.
        classes: names of the classes, the positive one last (binary); none for a regression.
        inputs: raw columns that the network is fed.
        train: training rows, with at least the columns that slices and groups are cut by.
        test: labelled test rows with all raw columns.
        tune_labels: see `Scored.labels`.
        test_labels: see `Scored.labels`.
        unlabelled: test rows left out for want of a label.
        network: the model that is judged.
        others: baselines, and the champion where it can be compared.
        champion: what is known of the champion.
        predict: the exported network; raw tensors in, predictions out. None: no importance.
        tensors: raw tensors of the test rows, by column.
    """

    snapshot: str
    classes: tuple[str, ...]
    inputs: tuple[str, ...]
    train: pl.DataFrame
    test: pl.DataFrame
    tune_labels: NDArray[Any]
    test_labels: NDArray[Any]
    unlabelled: int
    network: Predictions
    others: tuple[Predictions, ...]
    champion: Champion
    predict: Callable[[Tensors], Floats] | None = None
    tensors: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def evaluate(project: Project, material: Material, tell: Callable[[str], None] = print) -> EvaluationRecord:
    """Computes everything that the model gate and the evaluation page need.

    Rows for which a model's prediction is not finite are left out for all models, and counted.

    Args:
        project: what to evaluate, and how.
        material: rows, labels and predictions.
        tell: is told what is being done.

    Raises:
        ConfigError: the main metric, or a column of a slice or group, is not known.
        TrainingError: no prediction of the network is finite.
    """
    require_metric(project.metric, project.task)
    settings, rules = project.evaluate, project.evaluate.rules
    models, tune_of, kept, bad = _scored(project, material)
    test_frame = material.test.filter(pl.Series(kept))
    threshold = None
    if project.task == "binary":
        threshold = decide(
            tune_of["network"], models["network"], settings.costs, _positive(project, material.classes)
        )
        models = {n: m.at(_threshold(n, tune_of[n], threshold, project)) for n, m in models.items()}
    network = models["network"]
    how = (rules.confidence, settings.bootstrap, SEED)
    tell("metrics with confidence intervals")
    found = dict(zip(models, scores(list(models.values()), *how), strict=True))
    roles: dict[str, Role] = {p.name: p.role for p in (material.network, *material.others)}
    tell("comparisons, slices and groups")
    parts, notes = slice_parts(test_frame, material.train, settings.slices)
    groups, more = _groups(project, network, test_frame, material.train)
    comparisons = _comparisons(project, models, roles)
    tell("importance of the columns")
    return EvaluationRecord(
        project=project.name,
        task=project.task,
        label=project.data.label,
        snapshot=material.snapshot,
        metric=project.metric,
        higher_is_better=higher_is_better(project.metric),
        confidence=rules.confidence,
        rows=network.rows,
        unlabelled=material.unlabelled,
        non_finite=bad,
        models=tuple(ModelScores(name=n, role=roles[n], metrics=m) for n, m in found.items()),
        champion=_seen(material.champion, comparisons),
        classes=material.classes,
        comparisons=comparisons,
        difference=_difference(material, models),
        curves=curves(_series(models, material.classes)),
        calibration=calibration(network, rules.confidence),
        histograms=histograms(network),
        confusion=_confusion(network, material.classes),
        per_class=_per_class(network, material.classes),
        threshold=threshold,
        slices=score_slices(parts, network, project.metric, *how),
        fairness=groups,
        mistakes=mistakes(
            test_frame, network, project.data.keys, material.inputs, material.classes, settings.mistakes
        ),
        importance=_importance(project, material, network, kept),
        residuals=residuals(network),
        notes=(*notes, *more),
    )


def _scored(
    project: Project, material: Material
) -> tuple[dict[str, Scored], dict[str, Scored], NDArray[np.bool_], int]:
    """Every model on the test rows that all have finite predictions for, and on such tune rows."""
    everyone = (material.network, *material.others)
    test = {p.name: Scored(project.task, material.test_labels, p.test) for p in everyone}
    tune = {p.name: Scored(project.task, material.tune_labels, p.tune) for p in everyone}
    kept = shared_finite(test.values())
    bad = int((~test["network"].finite()).sum() + (~tune["network"].finite()).sum())
    if not kept.any():
        raise TrainingError(
            f"None of the {len(kept):,} test rows has a finite prediction of every model.",
            "Predictions must be finite numbers.",
            "Lower train.learning_rate or set train.clip_norm, then `lockgate run --from train`.",
        )
    return (
        {n: m.take(kept) for n, m in test.items()},
        {n: m.take(m.finite()) for n, m in tune.items()},
        kept,
        bad,
    )


def _positive(project: Project, classes: tuple[str, ...]) -> str:
    """What the positive class is called in a sentence: "late" rather than "true"."""
    return project.data.label if classes[1] in TRUE_TEXTS else classes[1]


def _threshold(name: str, tune: Scored, ours: Threshold, project: Project) -> float:
    """Every model decides by the threshold that is best for it, or the comparison would not be fair."""
    costs = project.evaluate.costs
    if name == "network" or costs is None or not tune.rows:
        return ours.value
    return choose(tune, costs)


def _comparisons(
    project: Project, models: Mapping[str, Scored], roles: Mapping[str, Role]
) -> tuple[Comparison, ...]:
    return tuple(
        compare(
            project.metric,
            models["network"],
            theirs,
            other=name,
            role=roles[name],
            confidence=project.evaluate.rules.confidence,
            resamples=project.evaluate.bootstrap,
            seed=SEED,
        )
        for name, theirs in models.items()
        if name != "network"
    )


def _difference(material: Material, models: Mapping[str, Scored]) -> Difference | None:
    """How far the network lies from the champion, each as it is served; None where none could be compared."""
    served = next((p for p in material.others if p.role == "champion"), None)
    if served is None:
        return None
    theirs = models[served.name]
    theirs = theirs if served.threshold is None else theirs.at(served.threshold)
    return difference(models["network"], theirs, material.champion.model)


def _seen(champion: Champion, comparisons: tuple[Comparison, ...]) -> Champion:
    """The champion, marked as the same where no row tells it from the network."""
    found = next((c for c in comparisons if c.role == "champion"), None)
    if champion.state == "compared" and found and (found.gain, found.low, found.high) == (0, 0, 0):
        return champion.model_copy(
            update={"state": "same", "message": "The champion and the network rate the test rows alike."}
        )
    return champion


def _groups(
    project: Project, network: Scored, test: pl.DataFrame, train: pl.DataFrame
) -> tuple[tuple[Fairness, ...], tuple[str, ...]]:
    """Fairness by column; a column of many different numbers is cut into quarters of the training rows."""
    rules, found, notes = project.evaluate.rules, [], []
    for column in project.evaluate.fairness:
        require_column(column, test, "evaluate.fairness")
        many = test[column].dtype.is_numeric() and train[column].n_unique() > MOST_GROUPS
        edges = edges_of(train[column], GROUP_RANGES, "evaluate.fairness") if many else None
        parts, note = parts_of(test[column], 0, edges)
        how = (rules.confidence, project.evaluate.bootstrap, SEED)
        found.append(fairness(column, parts, network, project.metric, *how))
        notes += [note] if note else []
    return tuple(found), tuple(notes)


def _series(models: Mapping[str, Scored], classes: tuple[str, ...]) -> dict[str, Scored]:
    network = models["network"]
    if network.task == "binary":
        return dict(models)
    return against_the_rest(network, classes) if network.task == "multiclass" else {}


def _confusion(network: Scored, classes: tuple[str, ...]) -> Confusion | None:
    if network.task == "regression":
        return None
    return Confusion(classes=classes, counts=tuple(map(tuple, confusion(network).tolist())))


def _per_class(network: Scored, classes: tuple[str, ...]) -> tuple[ClassScore, ...]:
    if network.task != "multiclass":
        return ()
    called = network.called
    found = []
    for k, (name, scored) in enumerate(against_the_rest(network, classes).items()):
        # Whether a row is called this class is decided among all classes, not at a threshold.
        calls = Scored("binary", scored.labels, (called == k).astype(np.float64))
        found.append(
            ClassScore(
                name=name,
                rows=int((scored.labels == 1).sum()),
                predicted=int((called == k).sum()),
                precision=measure("precision", calls),
                recall=measure("recall", calls),
                f1=measure("f1", calls),
                roc_auc=measure("roc_auc", scored),
            )
        )
    return tuple(found)


def _importance(project: Project, material: Material, network: Scored, kept: NDArray[np.bool_]) -> Any:
    if material.predict is None:
        return ()
    return importance(
        material.predict,
        {name: values[kept] for name, values in material.tensors.items()},
        network.labels,
        task=project.task,
        metric=project.metric,
        threshold=network.threshold,
        rows=project.evaluate.importance_rows,
        repeats=REPEATS,
        seed=SEED,
    )
