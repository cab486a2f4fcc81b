"""Evaluation records of multiclass and regression models; shared by the tests of the report."""

from functools import lru_cache

import numpy as np

from lockgate.evaluation import record as ev
from tests.unit.report_evaluations import binary, value
from tests.unit.report_records import HOSTILE, UNICODE, wine


@lru_cache
def multiclass() -> ev.EvaluationRecord:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import (
        confusion_matrix,
        log_loss,
        precision_recall_fscore_support,
        roc_auc_score,
        roc_curve,
    )

    data, target, _ = wine()
    fitted = LogisticRegression(max_iter=300).fit(data[::2, :2], target[::2])
    p, y = fitted.predict_proba(data[1::2, :2]), target[1::2]
    called = p.argmax(axis=1)
    names = ("Barolo", UNICODE, HOSTILE)
    precision, recall, f1, support = precision_recall_fscore_support(y, called)
    curves = []
    for k, name in enumerate(names):
        fpr, tpr, _ = roc_curve(y == k, p[:, k])
        curves.append(
            ev.Curve(
                kind="roc",
                series=name,
                x=tuple(fpr),
                y=tuple(tpr),
                area=float(roc_auc_score(y == k, p[:, k])),
            )
        )
    edges = np.linspace(0, 1, 21)
    right = called == y
    return ev.EvaluationRecord(
        project="wine",
        task="multiclass",
        label="cultivar",
        snapshot="ab" * 32,
        metric="log_loss",
        higher_is_better=False,
        confidence=0.95,
        rows=len(y),
        unlabelled=0,
        non_finite=0,
        models=(
            ev.ModelScores(
                name="network", role="network", metrics=(value("log_loss", float(log_loss(y, p)), len(y)),)
            ),
        ),
        champion=ev.Champion(state="none", message="There is no champion yet: this is the first model."),
        classes=names,
        curves=tuple(curves),
        confusion=ev.Confusion(
            classes=names, counts=tuple(tuple(int(v) for v in row) for row in confusion_matrix(y, called))
        ),
        per_class=tuple(
            ev.ClassScore(
                name=n,
                rows=int(support[k]),
                predicted=int((called == k).sum()),
                precision=float(precision[k]),
                recall=float(recall[k]),
                f1=float(f1[k]),
                roc_auc=curves[k].area,
            )
            for k, n in enumerate(names)
        ),
        histograms=tuple(
            ev.Histogram(
                series=s,
                edges=tuple(edges),
                counts=tuple(int(c) for c in np.histogram(p.max(1)[m], edges)[0]),
            )
            for s, m in (("right", right), ("wrong", ~right))
        ),
        mistakes=(
            ev.Mistake(
                keys=(),
                features=(("alcohol", "13.2"),),
                label=HOSTILE,
                called="Barolo",
                prediction=0.02,
                loss=3.9,
            ),
        ),
        notes=("Fairness was not asked for.",),
    )


@lru_cache
def regression() -> ev.EvaluationRecord:
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import Ridge

    data, y = load_diabetes(return_X_y=True)
    predicted = Ridge(alpha=0.1).fit(data[::2], y[::2]).predict(data[1::2])
    actual = y[1::2]
    error = predicted - actual
    counts, edges = np.histogram(error, 20)
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)
    rmse = float(np.sqrt((error**2).mean()))
    return ev.EvaluationRecord(
        project="diabetes",
        task="regression",
        label=UNICODE,
        snapshot="ab" * 32,
        metric="rmse",
        higher_is_better=False,
        confidence=0.95,
        rows=len(actual),
        unlabelled=0,
        non_finite=0,
        models=(
            ev.ModelScores(name="network", role="network", metrics=(value("rmse", rmse, len(actual), 3.0),)),
        ),
        champion=ev.Champion(
            state="incomparable", message="The champion has other input columns; it was not compared."
        ),
        histograms=(
            ev.Histogram(series="residual", edges=tuple(edges), counts=tuple(int(c) for c in counts)),
        ),
        residuals=ev.Residuals(
            actual=tuple(actual),
            predicted=tuple(predicted),
            levels=levels,
            quantiles=tuple(np.quantile(error, levels)),
            mean=float(error.mean()),
            sd=float(error.std()),
        ),
    )


RECORDS = {"binary": binary, "multiclass": multiclass, "regression": regression}
