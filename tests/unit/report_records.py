"""Records for the pages, of models that are fitted here; shared by the tests of the report."""

import math
from functools import lru_cache

import numpy as np
import polars as pl

from lockgate.data.profile import CategoryProfile, NumberProfile, Profile
from lockgate.features.raw import RawColumn
from lockgate.features.spec import (
    CategoryInput,
    CategorySpec,
    CrossSpec,
    DateSpec,
    Dropped,
    LabelSpec,
    NumberSpec,
    TransformSpec,
)
from lockgate.project import Model, Training
from lockgate.records import Check, Column, Partition, Snapshot, Verdict
from lockgate.shipping.record import Budgets, Parity, Refusals, ServingRecord
from lockgate.training import record as tr

HOSTILE = "<script>alert('é')</script>"
UNICODE = "Größe (µm) 高さ"


def number(values: np.ndarray, missing: int = 0) -> NumberProfile:
    whole = bool((values == values.round()).all())
    quantiles = (
        tuple(np.quantile(values, np.linspace(0, 1, 1001), method="inverted_cdf").tolist())
        if values.size
        else ()
    )
    ends = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    mean, std = (float(values.mean()), float(values.std())) if values.size else (0.0, 0.0)
    return NumberProfile(
        rows=len(values) + missing,
        missing=missing,
        infinite=0,
        zeros=int((values == 0).sum()),
        mean=mean,
        std=std,
        min=ends[0],
        max=ends[1],
        quantiles=quantiles,
        is_integer=whole,
    )


def category(values: list[str], missing: int = 0) -> CategoryProfile:
    counts = (
        pl.Series("v", values, dtype=pl.String).value_counts().sort(["count", "v"], descending=[True, False])
    )
    rows = tuple((str(v), int(n)) for v, n in counts.rows())
    return CategoryProfile(
        rows=len(values) + missing, missing=missing, distinct=len(rows), values=rows, mean_length=4.0
    )


@lru_cache
def wine() -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    from sklearn.datasets import load_wine

    found = load_wine()
    return found.data, found.target, tuple(found.feature_names)


def a_profile(seed: int = 0, columns: int = 13) -> Profile:
    data, target, names = wine()
    order = np.random.default_rng(seed).permutation(len(data))
    parts = {"train": order[:110], "tune": order[110:140], "test": order[140:]}
    splits = {}
    for split, at in parts.items():
        rows = {names[k]: number(data[at, k], missing=k % 3) for k in range(min(columns, 13))}
        rows["cultivar"] = category([f"class {c}" for c in target[at]])
        splits[split] = rows
    return Profile(snapshot=f"{seed}" * 64, splits=splits)


def a_snapshot(profile: Profile) -> Snapshot:
    parts = tuple(
        Partition(path=f"data/{s}.parquet", split=s, rows=profile.rows(s), content="c" * 64)
        for s in profile.splits
    )
    names = tuple(next(iter(profile.splits.values()), {}))
    return Snapshot(
        content="ab" * 32,
        rows=sum(p.rows for p in parts),
        columns=tuple(Column(name=n, dtype="Float64") for n in names),
        partitions=parts,
        source="wine.csv",
        code_version="0.1.0",
    )


def a_verdict(gate: str = "data", *, closed: bool = False, passed: int = 3) -> Verdict:
    checks = [
        Check(
            rule="missing",
            subject=f"column {k}",
            severity="error",
            passed=True,
            value=0.01,
            limit=0.5,
            rows=178,
            message=f"column {k}: 1% is missing, at most 50% may be.",
        )
        for k in range(passed)
    ]
    checks.append(
        Check(
            rule="drift",
            subject="alcohol",
            severity="warning",
            passed=False,
            value=0.2,
            limit=0.15,
            message="alcohol moved by 0.2, at most 0.15 is allowed.",
            advice="Look at the season.",
        )
    )
    if closed:
        checks.append(
            Check(
                rule="leakage",
                subject="ash",
                severity="error",
                passed=False,
                value=0.99,
                limit=0.9,
                message="ash alone tells the label.",
                advice="Take ash out of features.",
            )
        )
    return Verdict(gate=gate, checks=tuple(checks))


def a_spec(task: str = "binary") -> TransformSpec:
    classes = {"binary": ("false", "true"), "multiclass": ("a", "b", "c"), "regression": ()}[task]
    return TransformSpec(
        columns=(
            RawColumn(name="alcohol", kind="number", tensor="alcohol"),
            RawColumn(name=UNICODE, kind="category", tensor="column_1"),
        ),
        features=(
            NumberSpec(
                name="alcohol",
                fill=13.05,
                low=11.0,
                high=14.8,
                log=True,
                mean=13.0,
                std=0.81,
                flag=True,
                boundaries=(12.0, 13.0),
            ),
            CategorySpec(name=UNICODE, vocabulary=("x", "y"), embedding=0),
            DateSpec(name="when", parts=("month", "hour")),
        ),
        crosses=(CrossSpec(name="a_x_b", of=("a", "b"), bins=1000, embedding=8),),
        dropped=(Dropped(name=HOSTILE, reason="It has the same value in all 221,565 rows."),),
        label=LabelSpec(name="label", task=task, classes=classes),
        numbers=("alcohol", "alcohol missing"),
        categories=(CategoryInput(name=UNICODE, input="c1", places=4, embedding=0),),
    )


def a_training(epochs: int = 8, *, trials: bool = True, baselines: bool = True) -> tr.TrainingRecord:
    history = tuple(
        tr.Epoch(
            epoch=k,
            step=k * 217,
            loss=0.42 + 0.16 * math.exp(-k / 2.5),
            tune_loss=0.452 + 0.1 * math.exp(-k / 2) + 0.002 * k,
            metric=0.741 - 0.09 * math.exp(-k / 2) - 0.0012 * k,
            train_metric=0.775 - 0.1 * math.exp(-k / 3),
            learning_rate=1e-3 * 0.8**k,
            seconds=6.1 + 0.1 * (k % 3),
            rows_per_second=38_000 + 350 * (k % 4),
        )
        for k in range(1, epochs + 1)
    )
    best = max(history, key=lambda e: e.metric).epoch if history else 0
    tried = tuple(
        tr.Trial(
            number=k,
            settings={"train.learning_rate": 1e-3 * (k + 1), "model.hidden": (64, 32)},
            score=0.72 + 0.003 * k,
            epochs=3,
            seconds=18.2,
            state="complete",
        )
        for k in range(4)
    )
    fitted = (
        tr.BaselineRecord(
            name="trivial", title="Training mean", metric=0.5, seconds=0.01, file="t.parquet", settings={}
        ),
        tr.BaselineRecord(
            name="linear",
            title="Logistic regression",
            metric=0.701,
            seconds=4.2,
            file="l.parquet",
            settings={"C": 1.0, "max_iter": 200},
        ),
        tr.BaselineRecord(
            name="gradient_boosting",
            title="Gradient boosting",
            metric=0.729,
            seconds=7.9,
            file="g.parquet",
            settings={"learning_rate": 0.1, "max_leaf_nodes": 31},
        ),
    )
    folds = (tr.Folds(model="network", scores=(0.73, 0.74, 0.71, 0.75, 0.735), mean=0.733, deviation=0.0148),)
    return tr.TrainingRecord(
        metric="roc_auc",
        greater_is_better=True,
        history=history,
        best_epoch=best,
        stopped_early=True,
        steps=217 * epochs,
        steps_per_epoch=217,
        seconds=52.3,
        rows=217_727,
        workers=2,
        restarts=1,
        resumed_at=(1200,),
        parameters=tr.Parameters(
            model=Model(hidden=(128, 64)),
            train=Training(epochs=20),
            metric="roc_auc",
            trials=tried if trials else (),
            best=3 if trials else None,
        ),
        weights=48_213,
        folds=folds if trials else (),
        baselines=fitted if baselines else (),
    )


def a_serving(unequal: int = 0) -> ServingRecord:
    return ServingRecord(
        rows=12_000,
        mutated=2_000,
        largest_difference=1.8e-7,
        relative_tolerance=1e-5,
        absolute_tolerance=1e-6,
        parity=(
            Parity(
                protocol="v1",
                rows=12_000,
                mutated=2_000,
                largest=1.8e-7,
                unequal=unequal,
                worst_row=311,
                worst_served=0.4312345,
                worst_trained=0.4312347,
                rows_per_second=31_000,
            ),
            Parity(
                protocol="v2", rows=12_000, mutated=2_000, largest=1.2e-7, unequal=0, rows_per_second=36_500
            ),
        ),
        refusals=(
            Refusals(protocol="v1", sent=9, refused=9),
            Refusals(protocol="v2", sent=9, refused=8, wrong=(f"{HOSTILE} was answered with 500.",)),
        ),
        load_seconds=4.31,
        latency_ms={"p50": 4.1, "p90": 5.2, "p99": 9.73},
        latency_requests=500,
        rows_per_second=36_500.0,
        batch_rows=1000,
        memory_mb=812.0,
        budgets=Budgets(load_seconds=30, latency_ms=50, memory_mb=700),
    )
