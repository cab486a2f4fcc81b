from datetime import datetime

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_diabetes, load_wine

from lockgate.features.raw import MISSING_DATE, RawColumn
from lockgate.features.spec import CategorySpec, DateSpec, LabelSpec, NumberSpec, TransformSpec
from lockgate.training.baselines import MOST_CATEGORIES, Encoder, Lesson, Table, date_parts, fit
from lockgate.training.folds import assign, parts


def table(numbers: np.ndarray) -> Table:
    return Table(numbers.astype(np.float32), np.zeros((len(numbers), 0), dtype=np.int32))


def lesson(x: np.ndarray, y: np.ndarray, label: LabelSpec) -> tuple[Lesson, Table, np.ndarray]:
    order = np.random.default_rng(0).permutation(len(y))
    a, b = int(0.6 * len(y)), int(0.8 * len(y))
    train, tune, test = order[:a], order[a:b], order[b:]
    found = Lesson(label, table(x[train]), y[train], table(x[tune]), y[tune])
    return found, table(x[test]), y[test]


def test_several_classes_of_real_wines_are_told_apart() -> None:
    x, y = load_wine(return_X_y=True)
    x[::7, 0] = np.nan
    learnt, test, truth = lesson(
        x, y.astype(np.int32), LabelSpec(name="y", task="multiclass", classes=("a", "b", "c"))
    )
    accuracy = {}
    for name in ("trivial", "linear", "gradient_boosting"):
        found = fit(name, learnt).predict(test)
        assert found.shape == (len(truth), 3)
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
        accuracy[name] = (found.argmax(axis=1) == truth).mean()
    assert accuracy["linear"] > 0.9
    assert accuracy["gradient_boosting"] > 0.9
    assert accuracy["trivial"] < 0.6


def test_a_number_is_predicted_in_its_own_unit() -> None:
    x, y = load_diabetes(return_X_y=True)
    learnt, test, truth = lesson(x, y.astype(np.float32), LabelSpec(name="y", task="regression"))
    error = {
        n: np.abs(fit(n, learnt).predict(test) - truth).mean()
        for n in ("trivial", "linear", "gradient_boosting")
    }
    assert error["linear"] < 0.8 * error["trivial"]
    assert error["gradient_boosting"] < 0.9 * error["trivial"]


def test_rows_are_encoded_with_the_networks_vocabulary_and_parts() -> None:
    many = tuple(f"v{i}" for i in range(400))
    spec = TransformSpec(
        columns=(
            RawColumn(name="n", kind="number", tensor="n"),
            RawColumn(name="c", kind="category", tensor="c"),
            RawColumn(name="d", kind="date", tensor="d"),
        ),
        features=(
            NumberSpec(name="n", fill=0, mean=0, std=1),
            CategorySpec(name="c", vocabulary=many, embedding=2),
            DateSpec(name="d", parts=("weekday", "hour")),
        ),
        label=LabelSpec(name="y", task="binary"),
        numbers=("n",),
        categories=(),
    )
    noon = int((datetime(2013, 1, 1, 12) - datetime(1970, 1, 1)).total_seconds())
    found = Encoder(spec).encode(
        {
            "n": np.array([1.0, np.nan], dtype=np.float32),
            "c": np.array(["v0", "v399"], dtype=object),
            "d": np.array([noon, MISSING_DATE]),
        }
    )
    np.testing.assert_array_equal(found.numbers, [[1, 2, 12], [np.nan] * 3])
    np.testing.assert_array_equal(found.categories[:, 0], [1, MOST_CATEGORIES])
    days = pl.Series([datetime(2012, 12, 31)]).dt.epoch("s").to_numpy()
    assert [float(v[0]) for v in date_parts(days, ["month", "day_of_year", "day"])] == [12, 366, 31]


def test_a_value_that_no_training_row_had_changes_nothing_in_the_linear_model() -> None:
    rng = np.random.default_rng(0)
    y = (rng.random(200) < 0.5).astype(np.float32)
    seen = Table(np.zeros((200, 0), np.float32), rng.integers(0, 3, (200, 1)).astype(np.int32))
    model = fit("linear", Lesson(LabelSpec(name="y", task="binary", classes=("0", "1")), seen, y, seen, y))
    new = Table(np.zeros((2, 0), np.float32), np.array([[99], [MOST_CATEGORIES]], dtype=np.int32))
    assert np.isfinite(model.predict(new)).all()


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_folds_are_even_disjoint_and_keep_classes_and_groups_together(folds: int) -> None:
    labels = np.array([0] * 60 + [1] * 30 + [2] * 15)
    found = assign(labels, folds, 7)
    for label, count in ((0, 60), (1, 30), (2, 15)):
        sizes = np.bincount(found[labels == label], minlength=folds)
        assert sizes.max() - sizes.min() <= 1, count
    assert (assign(labels, folds, 7) == found).all()
    assert (assign(labels, folds, 8) != found).any()
    scored = []
    for fold in range(folds):
        train, stop, score = parts(found, fold, folds)
        assert len(set(train) | set(stop) | set(score)) == len(train) + len(stop) + len(score) == 105
        assert len(stop) > 0
        scored += list(score)
    assert sorted(scored) == list(range(105))
    groups = [f"g{i % 11}" for i in range(105)]
    by_group = assign(labels, folds, 7, groups=groups)
    assert all(
        len({f for f, g in zip(by_group, groups, strict=True) if g == name}) == 1 for name in set(groups)
    )
