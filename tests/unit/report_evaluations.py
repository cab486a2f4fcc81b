"""Evaluation records of models that are fitted here; shared by the tests of the report."""

import math
from itertools import pairwise

import numpy as np

from lockgate.evaluation import record as ev
from tests.unit.report_records import HOSTILE, UNICODE


def value(name: str, at: float, rows: int, spread: float = 0.01) -> ev.MetricValue:
    return ev.MetricValue(name=name, value=at, rows=rows, low=at - spread, high=at + spread)


def binary(rows: int = 4000, *, others: bool = True) -> ev.EvaluationRecord:
    """Scores of a logistic regression on made-up rows with a known dependence; every figure is computed."""
    from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

    random = np.random.default_rng(5)
    z = random.normal(size=rows) - 1.3
    y = random.random(rows) < 1 / (1 + np.exp(-z))
    models = {"network": 1 / (1 + np.exp(-z + 0.2 * random.normal(size=rows)))}
    if others:
        models |= {
            "champion": 1 / (1 + np.exp(-z + 0.8 * random.normal(size=rows))),
            "gradient_boosting": 1 / (1 + np.exp(-z + 1.1 * random.normal(size=rows))),
            "linear": 1 / (1 + np.exp(-z + 1.6 * random.normal(size=rows))),
            "trivial": np.full(rows, y.mean()),
        }
    role = {"network": "network", "champion": "champion"}
    scores, curves, comparisons = [], [], []
    for name, p in models.items():
        auc = float(roc_auc_score(y, p))
        logloss = float(-(np.log(p)[y].sum() + np.log(1 - p)[~y].sum()) / rows)
        scores.append(
            ev.ModelScores(
                name=name,
                role=role.get(name, "baseline"),
                metrics=(
                    value("roc_auc", auc, rows),
                    value("log_loss", logloss, rows),
                    value("pr_auc", float(average_precision_score(y, p)), rows),
                    ev.MetricValue(name="mcc", value=float("nan"), rows=rows),
                ),
            )
        )
        fpr, tpr, _ = roc_curve(y, p)
        at = np.unique(np.linspace(0, len(fpr) - 1, 150).astype(int))
        curves.append(ev.Curve(kind="roc", series=name, x=tuple(fpr[at]), y=tuple(tpr[at]), area=auc))
        precision, recall, _ = precision_recall_curve(y, p)
        at = np.unique(np.linspace(0, len(recall) - 1, 150).astype(int))
        curves.append(
            ev.Curve(
                kind="precision_recall",
                series=name,
                x=tuple(recall[at]),
                y=tuple(precision[at]),
                area=float(average_precision_score(y, p)),
            )
        )
        if name != "network":
            gain = scores[0].metrics[0].value - auc
            comparisons.append(
                ev.Comparison(
                    other=name,
                    role=role.get(name, "baseline"),
                    metric="roc_auc",
                    ours=scores[0].metrics[0].value,
                    theirs=auc,
                    gain=gain,
                    low=gain - 0.008,
                    high=gain + 0.008,
                    p_value=0.0004,
                    test="DeLong's paired test",
                    rows=rows,
                )
            )
    p = models["network"]
    edges = np.linspace(0, 1, 31)
    counts = {n: np.histogram(p[m], edges)[0] for n, m in (("negative", ~y), ("positive", y))}
    bins = []
    for low, high in pairwise(np.quantile(p, np.linspace(0, 1, 11))):
        inside = (p >= low) & (p < high)
        share, spread = float(y[inside].mean()), 1.96 * math.sqrt(0.25 / inside.sum())
        bins.append(
            ev.CalibrationBin(
                series="network",
                predicted=float(p[inside].mean()),
                observed=share,
                low=max(share - spread, 0),
                high=min(share + spread, 1),
                rows=int(inside.sum()),
            )
        )

    def at_threshold(t: float) -> tuple[int, int, int, int]:
        called = p >= t
        return (
            int((called & y).sum()),
            int((called & ~y).sum()),
            int((~called & y).sum()),
            int((~called & ~y).sum()),
        )

    def operating(name: str, t: float) -> ev.Operating:
        tp, fp, fn, tn = at_threshold(t)
        return ev.Operating(
            name=name,
            threshold=t,
            true_positives=tp,
            false_positives=fp,
            false_negatives=fn,
            true_negatives=tn,
            cost=1000 * (5 * fp + 20 * fn) / rows,
        )

    points = tuple(
        ev.CostPoint(threshold=float(t), cost=operating("x", t).cost or 0) for t in np.linspace(0, 1, 101)
    )
    best = min(points, key=lambda c: c.cost).threshold
    tp, fp, fn, tn = at_threshold(best)
    overall = scores[0].metrics[0].value
    sliced = []
    for column, names in (
        ("carrier", ("UA", "B6", "EV", "DL", "AA", UNICODE, HOSTILE)),
        ("distance", ("17 to 500", "500 to 1,389")),
    ):
        for k, name in enumerate(names):
            part = slice(k * 400, k * 400 + 300 + 90 * k)
            auc = float(roc_auc_score(y[part], p[part]))
            n = len(y[part])
            sliced.append(
                ev.SliceScore(
                    column=column,
                    value=name,
                    rows=n,
                    min_rows=100,
                    metric="roc_auc",
                    score=auc,
                    low=auc - 1 / math.sqrt(n),
                    high=auc + 1 / math.sqrt(n),
                    drop=overall - auc,
                    significant=overall - auc > 0.02,
                )
            )
    sliced.append(
        ev.SliceScore(
            column="carrier",
            value="OO",
            rows=12,
            min_rows=100,
            metric="roc_auc",
            note="12 rows are too few to judge; 100 are needed.",
        )
    )
    groups = tuple(
        ev.GroupRate(
            value=g, rows=1300, score=0.73 + d, selection=0.31 + d, true_positive=0.6, false_positive=0.2 - d
        )
        for g, d in (("EWR", 0.02), ("JFK", -0.01), ("LGA", 0.0))
    )
    gaps = (ev.Gap(rate="selection", gap=0.03, low=0.01, high=0.05, highest="EWR", lowest="JFK", rows=2600),)
    worst = np.argsort(np.where(y, p, 1 - p))[:6]
    mistakes = tuple(
        ev.Mistake(
            keys=(("flight", f"UA {1400 + int(k)}"), ("day", "2013-10-07")),
            label="true" if y[k] else "false",
            called="false" if y[k] else "true",
            prediction=float(p[k]),
            loss=float(-np.log(p[k] if y[k] else 1 - p[k])),
            features=tuple(
                (c, f"{abs(z[k]):.2f}")
                for c in ("origin", "dest", "hour", "temp", "wind_speed", "visib", UNICODE)
            ),
        )
        for k in worst
    )
    importance = tuple(
        ev.Importance(column=c, mean=m, sd=0.0011, repeats=5, rows=4000)
        for c, m in (
            ("time", 0.081),
            ("precip", 0.034),
            (UNICODE, 0.021),
            ("carrier", 0.017),
            ("dest", 0.012),
            ("visib", 0.004),
            ("seats", 0.0006),
            ("pressure", -0.0004),
        )
    )
    champion = ev.Champion(
        state="compared", message="Champion 1f2e3d4c was scored on the same rows.", model="1f" * 32
    )
    first = ev.Champion(state="none", message="There is no champion yet: this is the first model.")
    return ev.EvaluationRecord(
        project="flights",
        task="binary",
        label="late",
        snapshot="ab" * 32,
        metric="roc_auc",
        higher_is_better=True,
        confidence=0.95,
        rows=rows,
        unlabelled=271,
        non_finite=0,
        models=tuple(scores),
        champion=champion if others else first,
        classes=("false", "true"),
        comparisons=tuple(comparisons),
        difference=ev.Difference(
            other="1f" * 32,
            rows=rows,
            labels=0.034,
            labels_high=0.041,
            size=0.0213,
            size_high=0.0265,
            distance=0.012,
            distance_high=0.03,
        )
        if others
        else None,
        curves=tuple(curves),
        calibration=tuple(bins),
        histograms=tuple(
            ev.Histogram(series=n, edges=tuple(edges), counts=tuple(int(c) for c in v))
            for n, v in counts.items()
        ),
        confusion=ev.Confusion(classes=("false", "true"), counts=((tn, fp), (fn, tp))),
        threshold=ev.Threshold(
            value=best,
            chosen_on="tune",
            unit="euros",
            false_positive_cost=5,
            false_negative_cost=20,
            points=points,
            sentence="A false alarm costs 5 euros and a miss 20 euros, so flights are called late "
            f"from a score of {best:.2f} on.",
            operating=(
                operating("chosen", best),
                operating("0.5", 0.5),
                operating("always", 0.0),
                operating("never", 1.1),
            ),
        ),
        slices=tuple(sliced),
        fairness=(ev.Fairness(column="origin", groups=groups, gaps=gaps),),
        mistakes=mistakes,
        importance=importance,
    )
