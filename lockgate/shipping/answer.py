"""A model's outputs as answers: the same words in V1 and V2, and for whoever checks them."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lockgate.training.spec import OUTPUTS

Task = Literal["binary", "multiclass", "regression"]
Outputs = Mapping[str, npt.NDArray[Any]]


def answers(task: Task, classes: Sequence[str], threshold: float, outputs: Outputs) -> dict[str, Any]:
    """The answers by name, each an array over the rows.

    Args:
        task: what the model was trained for.
        classes: negative then positive (binary), the order of the probabilities (multiclass).
        threshold: the score from which on a row counts as positive (binary).
        outputs: of the exported signature; its one output is float32 of n rows, or n times classes.

    Returns:
        Binary: `probability` (float32), `label` (str), `decision` (bool: at least `threshold`).
        Multiclass: `probabilities` (float32, n times classes), `label` (the most probable class, the first
        of equals). Regression: `prediction` (float32).
    """
    scores = outputs[OUTPUTS[task]]
    names = np.array(classes, dtype=object)
    match task:
        case "binary":
            # In float32 like the scores, so that a score equal to the rounded threshold reaches it.
            decision = scores >= np.float32(threshold)
            return {"probability": scores, "label": names[decision.astype(np.intp)], "decision": decision}
        case "multiclass":
            return {"probabilities": scores, "label": names[scores.argmax(axis=1)]}
        case "regression":
            return {"prediction": scores}


def predictions(answered: Mapping[str, Any], classes: Sequence[str]) -> list[dict[str, Any]]:
    """The answers as V1 predictions: one object per row; `probabilities` by class."""
    columns = {name: values.tolist() for name, values in answered.items()}
    if "probabilities" in columns:
        columns["probabilities"] = [dict(zip(classes, row, strict=True)) for row in columns["probabilities"]]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
