"""The models on the labelled rows: the network, the baselines that were trained with it, the champion."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from lockgate.errors import DataError, LockgateError, StorageError
from lockgate.evaluation.evaluate import Predictions
from lockgate.evaluation.importance import Tensors
from lockgate.evaluation.record import Champion
from lockgate.evaluation.scored import Floats
from lockgate.features.raw import encode
from lockgate.shipping.folder import ServingSpec
from lockgate.shipping.pushed import bring
from lockgate.training.record import TrainingRecord
from lockgate.training.spec import ModelSpec
from lockgate.workspace import Workspace

Predict = Callable[[Tensors], Floats]


def predictor(folder: Path) -> Predict:
    """The exported model of a folder as a function of raw tensors; float64 [n], or [n, classes].

    Raises:
        ServingError: the folder holds no model that can be loaded.
    """
    from lockgate.training.predict import load

    model = load(folder)
    return lambda tensors: np.asarray(model(tensors), dtype=np.float64)


def baselines(training: Path, tune: int, test: int) -> tuple[Predictions, ...]:
    """What the baselines predicted for the labelled rows of tune and test, in the rows' order.

    Args:
        training: the training folder.
        tune: how many labelled rows tune has.
        test: how many labelled rows test has.

    Raises:
        DataError: a baseline has predictions for another number of rows.
    """
    found = []
    for baseline in TrainingRecord.load(training / "training.json").baselines:
        table = pl.read_parquet(training / baseline.file).sort("row")
        columns = [c for c in table.columns if c.startswith("prediction")]
        parts = []
        for split, rows in (("tune", tune), ("test", test)):
            part = table.filter(pl.col("split") == split).select(columns)
            if part.height != rows:
                raise DataError(
                    f"The baseline {baseline.name} predicted {part.height:,} rows of {split}.",
                    f"That split has {rows:,} rows with a label.",
                    "Train again on this data: `lockgate run --from train`.",
                )
            values = part.to_numpy().astype(np.float64)
            parts.append(values[:, 0] if columns == ["prediction"] else values)
        found.append(Predictions(baseline.name, "baseline", parts[0], parts[1]))
    return tuple(found)


def champion(
    workspace: Workspace, challenger: ModelSpec, tune: pl.DataFrame, test: pl.DataFrame
) -> tuple[Champion, Predictions | None]:
    """What is known of the champion, and its predictions where it can score these rows.

    A champion that answers another question, or needs columns that the data no longer has, is not an
    error: the model gate then follows its first-model policy. One that a bucket does not give out just now
    is an error, or an outage would let a model pass unchallenged.

    Raises:
        StorageError: the workspace is in a bucket that cannot be read.
    """
    digest = workspace.champion()
    if digest is None:
        return Champion(state="none", message="There is no champion yet."), None
    try:
        folder = bring(workspace, digest)
        if folder is None:
            return _incomparable(digest, "its folder cannot be read: it is gone, or not whole."), None
        spec = ModelSpec.load(folder / "model.json")
        if difference := _difference(spec, challenger):
            return _incomparable(digest, difference), None
        predict = predictor(folder)
        fed = [encode(frame, spec.inputs) for frame in (tune, test)]
        threshold = ServingSpec.of(folder).threshold if spec.task == "binary" else None
        first, last = (_in_order(predict(tensors), spec, challenger) for tensors in fed)
    except StorageError:
        raise
    except (LockgateError, OSError, ValueError) as error:  # ValueError: the record of another version
        reason = error.given if isinstance(error, LockgateError) else f"its folder cannot be read ({error})."
        return _incomparable(digest, reason), None
    message = f"The champion {digest[:12]} was scored on the same rows."
    known = Champion(state="compared", message=message, model=digest)
    return known, Predictions("champion", "champion", first, last, threshold=threshold)


def _incomparable(digest: str, reason: str) -> Champion:
    message = f"The champion {digest[:12]} cannot be compared on these rows: {reason}"
    return Champion(state="incomparable", message=message, model=digest)


def _difference(theirs: ModelSpec, ours: ModelSpec) -> str:
    """Why the two models do not answer the same question; "" when they do."""
    for name, a, b in (
        ("task", theirs.task, ours.task),
        ("label", theirs.label, ours.label),
        ("positive value", theirs.positive, ours.positive),
        ("classes", ", ".join(sorted(theirs.classes)), ", ".join(sorted(ours.classes))),
    ):
        if a != b:
            return f"its {name} was {a}, and now is {b}."
    return ""


def _in_order(answers: Floats, theirs: ModelSpec, ours: ModelSpec) -> Floats:
    """The champion's probabilities in the order of the network's classes."""
    if theirs.task != "multiclass" or theirs.classes == ours.classes:
        return answers
    return answers[:, [theirs.classes.index(name) for name in ours.classes]]
