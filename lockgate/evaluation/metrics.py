"""The metrics of each task: their names, which direction is better, and their values."""

from collections.abc import Mapping

import numpy as np

from lockgate.errors import ConfigError
from lockgate.evaluation.ranks import average_precision, median_error, roc_auc_influence
from lockgate.evaluation.scored import Scored, Task
from lockgate.evaluation.terms import TERMS

METRICS: Mapping[Task, tuple[str, ...]] = {
    "binary": (
        *("roc_auc", "pr_auc", "log_loss", "brier", "ece"),
        *("accuracy", "precision", "recall", "f1"),
    ),
    "multiclass": ("log_loss", "accuracy", "balanced_accuracy", "macro_f1", "roc_auc"),
    "regression": ("rmse", "mae", "r2", "median_ae", "mape"),
}

LOWER_IS_BETTER = frozenset({"log_loss", "brier", "ece", "rmse", "mae", "median_ae", "mape"})

TITLES: Mapping[str, str] = {
    "roc_auc": "ROC AUC",
    "pr_auc": "average precision",
    "log_loss": "log loss",
    "brier": "Brier score",
    "ece": "calibration error",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "macro_f1": "macro F1",
    "rmse": "RMSE",
    "mae": "mean absolute error",
    "median_ae": "median absolute error",
    "mape": "mean absolute percentage error",
    "r2": "R²",
}


def higher_is_better(name: str) -> bool:
    """Whether a larger value of the metric is better."""
    return name not in LOWER_IS_BETTER


def gain(name: str, ours: float, theirs: float) -> float:
    """How much better `ours` is than `theirs`; positive is better, whatever the metric's direction."""
    return ours - theirs if higher_is_better(name) else theirs - ours


def require_metric(name: str, task: Task, where: str = "evaluate.metric") -> None:
    """Refuses a metric that the task does not have.

    Raises:
        ConfigError: naming the metrics of the task.
    """
    if name not in METRICS[task]:
        raise ConfigError(
            f"{where} is {name!r}, which a {task} task does not have.",
            f"It has {', '.join(METRICS[task])}.",
            f"Edit {where} in project.yaml.",
        )


def measure(name: str, scored: Scored) -> float:
    """The metric's value; NaN where it is not defined on these rows (no rows, one class, a label of zero)."""
    if not scored.rows:
        return float("nan")
    if name == "roc_auc":
        return roc_auc_influence(scored)[0]
    if name == "pr_auc":
        return float(average_precision(scored, np.ones((1, scored.rows)))[0])
    if name == "median_ae":
        return float(median_error(scored, np.ones((1, scored.rows)))[0])
    terms = TERMS[name](scored)
    return float(terms.combine(terms.rows.mean(axis=0)))


def measure_all(scored: Scored) -> dict[str, float]:
    """All metrics of the task, by name."""
    return {name: measure(name, scored) for name in METRICS[scored.task]}
