"""The network's cross-validation: one short training in memory for every fold."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lockgate.evaluation.metrics import measure
from lockgate.evaluation.scored import Scored
from lockgate.features.spec import TransformSpec
from lockgate.project import Project
from lockgate.training.folds import FILE, Places, cross_validate
from lockgate.training.input import Features, Memory, Rows
from lockgate.training.job import make_loop
from lockgate.training.loop import Watch
from lockgate.training.record import Folds


def network_folds(
    project: Project, code: Mapping[str, str], features: Path, folds: int, watch: Watch | None = None
) -> Folds:
    """Scores the network on folds of the train and tune rows by the main metric, in this process.

    The constants of the transform are those of the training rows for every fold: they say nothing of labels.

    Args:
        project: with the model and the settings to use.
        code: the user's Python file by name.
        features: the transform's artifact.
        folds: how many.
        watch: asked whether to stop.

    Raises:
        Stopped: it was asked to stop; nothing of the fold is kept.
    """
    spec = TransformSpec.load(features / "spec.json")
    rows = Rows.joined([Features(features / split, spec).all() for split in ("train", "tune")])
    settings = project.train.model_copy(update={"workers": 1, "shards": 1})
    alone = project.model_copy(update={"train": settings})

    def score(train: Places, stop: Places, scored: Places) -> float:
        loop = make_loop(alone, code, spec, Memory(rows.take(train)), Memory(rows.take(stop)))
        loop.watch = watch or Watch()
        loop.run()
        if loop.judge is None or loop.best is None:
            raise RuntimeError("a training in one process has a judge and a best epoch")
        loop.judge.network.set_weights(loop.best)
        held = rows.take(scored)
        answers = loop.judge.answers(held).astype(np.float64)
        return measure(project.metric, Scored(spec.label.task, held.label, answers))

    return cross_validate("network", np.load(features / FILE), folds, score)
