"""The data gate: one defect at a time, each found by its rule, in words; nothing where nothing is wrong."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from lockgate.data import history
from lockgate.data.checks.rules import RULES, check, check_names, with_severity
from lockgate.errors import ConfigError
from lockgate.records import Check, Verdict
from lockgate.steps.validate import validate
from lockgate.workspace import Workspace
from tests.data.runs import collected_frame, failed, judged, needs_tfdv, project, rows, settings

Change = Callable[[pl.DataFrame], pl.DataFrame]
LATER = pl.col("when") >= pl.datetime(2024, 11, 1)


def test_healthy_rows_pass_every_check(tmp_path: Path) -> None:
    found = judged(
        tmp_path, rows(), evaluate={"slices": [{"column": "colour"}, {"column": "size", "bins": 4}]}
    )
    assert failed(found) == []
    assert {c.rule for c in found} > {"leakage", "skew", "overlap", "duplicates", "label_classes", "slices"}
    assert all(c.message.endswith(".") for c in found)
    assert not any(c.advice for c in found)


def in_test(expression: pl.Expr, name: str) -> Change:
    """The change in the rows of the test split only."""
    return lambda frame: frame.with_columns(
        pl.when(LATER).then(expression).otherwise(pl.col(name)).alias(name)
    )


DEFECTS: dict[str, tuple[Change, dict[str, Any], str, str]] = {
    "values are missing": (
        lambda f: f.with_columns(pl.when(pl.col("count") > 40).then("size").alias("size")),
        {},
        "missing",
        r"size: \d+,?\d* of \d,\d+ values are missing \(8\d\.\d%\)",
    ),
    "more are missing than the user allows": (
        lambda f: f.with_columns(pl.when(pl.col("count") > 10).then("size").alias("size")),
        {"features": {"size": {"max_missing": 0.1}}},
        "max_missing",
        r"features sets at most 10\.0%",
    ),
    "a column is empty": (
        lambda f: f.with_columns(size=pl.lit(None, pl.Float64)),
        {},
        "all_missing",
        r"size has no value at all in \d,\d+ rows",
    ),
    "a column of text is empty in test": (
        in_test(pl.lit(None, pl.String), "colour"),
        {},
        "all_missing",
        "colour in test has no value at all",
    ),
    "values are infinite": (
        lambda f: f.with_columns(
            pl.when(pl.col("count") == 0).then(float("inf")).otherwise("size").alias("size")
        ),
        {},
        "infinite",
        r"size: \d+ of \d,\d+ values are infinite",
    ),
    "values are out of range": (
        lambda f: f,
        {"features": {"count": {"min": 5, "max": 30}}},
        "range",
        "count: the smallest value is 0; the limit is 5",
    ),
    "new categories": (
        in_test(pl.lit("purple"), "colour"),
        {},
        "new_categories",
        r"colour in test: 100\.00% of the rows hold 1 values.*'purple'",
    ),
    "vanished categories": (
        in_test(pl.col("colour").replace("green", "red"), "colour"),
        {},
        "vanished_categories",
        "colour in test: 1 values are gone .* 'green'",
    ),
    "numbers are skewed": (
        in_test(pl.col("size") + 3, "size"),
        {},
        "skew",
        r"size: Jensen-Shannon divergence 0\.\d+ between test and train; the limit is",
    ),
    "categories are skewed": (
        in_test(pl.when(pl.col("count") < 25).then(pl.lit("blue")).otherwise("colour"), "colour"),
        {},
        "skew",
        r"colour: L-infinity distance 0\.\d+ .* 'blue': 2\d\.\d%, then [56]\d\.\d%",
    ),
    "missing values are skewed": (
        in_test(pl.when(pl.col("count") < 20).then("size"), "size"),
        {},
        "skew",
        r"missing 0\.0% and [56]\d\.\d%",
    ),
    "a copy of the label": (
        lambda f: f.with_columns(copy=pl.col("late").cast(pl.String)),
        {},
        "leakage",
        r"copy alone tells 'late' with AUC 1\.000 .* It decides the label",
    ),
    "a threshold of a column is the label": (
        lambda f: f.with_columns(delay=pl.col("late") * 30 - 10 + pl.col("count") / 10),
        {},
        "leakage",
        r"delay alone tells 'late' with AUC (1\.000|0\.99\d)",
    ),
    "missing values are the label": (
        lambda f: f.with_columns(arrived=pl.when(~pl.col("late")).then("size")),
        {},
        "leakage",
        "arrived alone tells 'late'",
    ),
    "a leak that is no feature": (
        lambda f: f.with_columns(copy=~pl.col("late")),
        {"features": {"size": {}, "count": {}, "colour": {}}},
        "leakage_unused",
        "It is not a feature; keep it so",
    ),
    "no labels": (
        lambda f: f.with_columns(late=pl.when(pl.col("count") < 10).then("late")),
        {},
        "label_missing",
        r"late in train: \d,\d+ of \d,\d+ rows have no label \([78]\d\.\d%\)",
    ),
    "a label with one class": (
        lambda f: f.with_columns(late=pl.lit(True)),
        {},
        "label_classes",
        "late in train has only classes: 'true'",
    ),
    "a label with one class in test": (
        in_test(pl.lit(False), "late"),
        {},
        "label_classes",
        "late in test has only classes: 'false'",
    ),
    "a rare class": (
        lambda f: f.with_columns(late=pl.int_range(pl.len()) % 300 == 0),
        {},
        "label_balance",
        r"the rarest class, 'true', has \d of \d,\d+ training rows \(0\.\d+%\)",
    ),
    "a class that train does not know": (
        in_test(pl.when(pl.col("count") < 9).then(pl.lit("new")).otherwise("late"), "late"),
        {"task": "multiclass"},
        "label_unknown",
        "late in test has 1 classes that train does not have: 'new'",
    ),
    "rows are repeated": (
        lambda f: pl.concat([f, f[:600]]),
        {},
        "duplicates",
        "of the 2,[56]\\d\\d training rows repeat an earlier row",
    ),
    "rows of train are in test": (
        lambda f: pl.concat([f, f[:10].with_columns(when=pl.datetime(2024, 12, 1, time_unit="us"))]),
        {},
        "overlap",
        r"of the \d+ rows of test occur in train as well",
    ),
    "a slice with few rows": (
        lambda f: f.with_columns(
            colour=pl.when(pl.int_range(pl.len()) % 200 == 0).then(pl.lit("gold")).otherwise("colour")
        ),
        {"evaluate": {"slices": [{"column": "colour", "min_rows": 50}]}},
        "slices",
        "colour: 1 of 4 slices have fewer than 50 training rows: 'gold' 1",
    ),
    "a slice by a number": (
        lambda f: f,
        {"evaluate": {"slices": [{"column": "count", "min_rows": 60}]}},
        "slices",
        r"count: \d+ of 50 slices have fewer than 60",
    ),
    "a constant": (
        lambda f: f.with_columns(size=pl.lit(3.0)),
        {},
        "constant",
        "size has one value only",
    ),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_defect(name: str, tmp_path: Path) -> None:
    change, more, rule, message = DEFECTS[name]
    found = failed(judged(tmp_path, change(rows()), **more), rule)
    assert found, f"{rule} found nothing"
    assert any(re.search(message, c.message) for c in found), [c.message for c in found]
    assert all(c.advice for c in found)
    assert {c.severity for c in found} == {RULES[rule][0]}


def test_ten_thousand_categories_are_a_warning_and_no_leak(tmp_path: Path) -> None:
    n = 24_000
    names = [f"id{i % 10_000}" for i in range(n)]
    found = judged(tmp_path, rows(n).with_columns(name=pl.Series(names)), features={"name": {}, "size": {}})
    assert [c.rule for c in failed(found, "many_categories", "leakage")] == ["many_categories"]
    assert "10,000 distinct values" in failed(found, "many_categories")[0].message
    assert not [c for c in failed(found) if c.severity == "error"]


def test_identifiers_of_single_rows_do_not_leak(tmp_path: Path) -> None:
    frame = rows().with_columns(key=pl.format("row{}", pl.int_range(pl.len())))
    (found,) = [c for c in judged(tmp_path, frame) if c.rule == "leakage" and c.subject == "key"]
    assert found.passed
    assert found.value == pytest.approx(0.5, abs=0.01)


def test_rows_that_repeat_by_nature_do_not_overlap(tmp_path: Path) -> None:
    frame = rows().select("when", "colour", "late")
    assert failed(judged(tmp_path, frame), "overlap") == []


def test_new_categories_are_seen_among_more_than_can_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lockgate.data.vocabulary.CAPACITY", 1000)
    monkeypatch.setattr("lockgate.data.vocabulary.SAMPLE", 500)
    rng = np.random.default_rng(0)
    n = 60_000
    known = np.array([f"k{i}" for i in rng.integers(0, 5000, n)])
    new = np.array([f"n{i}" for i in rng.integers(0, 5000, n)])
    late = np.arange(n) > 0.9 * n
    frame = rows(n).with_columns(name=pl.Series(np.where(late & (rng.random(n) < 0.4), new, known)))
    found = judged(tmp_path, frame, features={"name": {"max_values": 1000}, "size": {}})
    (seen,) = failed([c for c in found if c.subject == "name in test"], "new_categories")
    assert "about" in seen.message
    assert seen.value == pytest.approx(0.25, abs=0.12)
    assert failed([c for c in found if c.subject == "name in tune"], "new_categories") == []


def test_severities_can_be_set(tmp_path: Path) -> None:
    checks = [
        check("skew", "a", False, "."),
        check("missing", "a", False, "."),
        check("leakage", "a", True, "."),
    ]
    found = list(with_severity(checks, {"skew": "error", "missing": "off"}))
    assert [(c.rule, c.severity) for c in found] == [("skew", "error"), ("leakage", "error")]
    assert not Verdict(gate="data", checks=tuple(found)).is_open


def test_unknown_rule_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'leakage'"):
        check_names({"leakige": "off"})


def run_validate(
    folder: Path, frame: pl.DataFrame, name: str = "out", **more: Any
) -> tuple[bool, Verdict, Path]:
    collected_frame(folder, frame, **more)
    out = folder / name
    told = settings(project(folder / "source.parquet", **more))
    is_open = validate(
        told,
        str(folder / "workspace"),
        snapshot=folder / "snapshot",
        statistics=out / "statistics",
        verdict=out / "verdict.json",
        page=out / "page.html",
    )
    return is_open, Verdict.load(out / "verdict.json"), out


@needs_tfdv
def test_step_writes_all_it_promises(tmp_path: Path) -> None:
    is_open, verdict, out = run_validate(tmp_path, rows())
    assert is_open
    assert verdict.is_open
    names = {p.name for p in (out / "statistics").iterdir()}
    assert names >= {"profile.json", "statistics.pb", "schema.pbtxt", "anomalies.pb"}
    assert "<html" in (out / "page.html").read_text()


@needs_tfdv
def test_step_does_not_raise_when_the_gate_closes_and_forgets_what_did_not_pass(tmp_path: Path) -> None:
    is_open, verdict, _ = run_validate(tmp_path, rows().with_columns(copy=pl.col("late").cast(pl.Int8)))
    assert not is_open
    assert [c.rule for c in verdict.errors] == ["leakage"]
    assert verdict.checks[0] == verdict.errors[0]
    assert history.passed(Workspace(tmp_path / "workspace")) == []


@needs_tfdv
def test_drift_is_measured_from_the_last_snapshot_that_passed(tmp_path: Path) -> None:
    run_validate(tmp_path, rows())
    moved = rows(seed=1).with_columns(pl.col("size") + 2)
    is_open, verdict, _ = run_validate(tmp_path, moved, "second")
    assert is_open
    assert [c.subject for c in failed(list(verdict.checks), "drift")] == ["size"]
    _, again, _ = run_validate(tmp_path, rows(seed=2).with_columns(pl.col("size") + 2), "third")
    assert failed(list(again.checks), "drift") == []


@needs_tfdv
def test_order_of_columns_does_not_change_the_verdict(tmp_path: Path) -> None:
    def key(verdict: Verdict) -> list[Check]:
        return sorted(verdict.checks, key=lambda c: (c.rule, c.subject, c.message))

    one = run_validate(tmp_path / "one", rows())[1]
    two = run_validate(tmp_path / "two", rows().select("late", "colour", "count", "size", "when"))[1]
    assert key(one) == key(two)
