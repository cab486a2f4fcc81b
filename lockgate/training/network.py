"""Builds the network and its optimizer as the settings say; the same seed gives the same weights."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from lockgate.features.spec import TransformSpec
from lockgate.project import Project, Training
from lockgate.training.model import wide_and_deep
from lockgate.training.task import Task, balanced_weights
from lockgate.training.usermodel import user_network

WARM_UP_EPOCHS = 0.5
FLOOR = 0.01


def task_of(project: Project, spec: TransformSpec) -> Task:
    """The task with the loss that `train` asks for."""
    is_weighted = project.train.class_weight == "balanced" and project.task != "regression"
    weights = balanced_weights(spec.label.shares) if is_weighted else ()
    smoothing = project.train.label_smoothing if project.task != "regression" else 0.0
    return Task(spec.label, smoothing, weights)


def build_network(project: Project, code: Mapping[str, str], spec: TransformSpec) -> keras.Model:
    """The network with its first weights.

    With mixed precision the layers compute in bfloat16 (float16 would need loss scaling, and its range is
    too small for unscaled gradients) and keep float32 weights; the scores are float32 always.

    Raises:
        TrainingError: the user's model function failed.
    """
    keras.utils.set_random_seed(project.train.seed)
    keras.config.set_dtype_policy("mixed_bfloat16" if project.train.mixed_precision else "float32")
    try:
        task = task_of(project, spec)
        if project.model.function:
            return user_network(project, code, spec, task)
        return wide_and_deep(project.model, spec, task.width)
    finally:
        keras.config.set_dtype_policy("float32")


def build_optimizer(settings: Training, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """The optimizer; a cosine schedule warms up over half an epoch and falls to 1 % of the learning rate."""
    rate: Any = settings.learning_rate
    if settings.schedule == "cosine":
        warm_up = max(1, round(WARM_UP_EPOCHS * steps_per_epoch))
        rate = keras.optimizers.schedules.CosineDecay(
            0.0,
            max(1, settings.epochs * steps_per_epoch - warm_up),
            alpha=FLOOR,
            warmup_target=settings.learning_rate,
            warmup_steps=warm_up,
        )
    common = {"learning_rate": rate, "clipnorm": None, "global_clipnorm": settings.clip_norm}
    match settings.optimizer:
        case "adam":
            return keras.optimizers.Adam(weight_decay=settings.weight_decay or None, **common)
        case "adamw":
            return keras.optimizers.AdamW(weight_decay=settings.weight_decay, **common)
        case "sgd":
            decay = settings.weight_decay or None
            return keras.optimizers.SGD(momentum=0.9, weight_decay=decay, **common)


def learning_rate(optimizer: keras.optimizers.Optimizer) -> float:
    """The rate of the next step."""
    return float(tf.convert_to_tensor(optimizer.learning_rate))
