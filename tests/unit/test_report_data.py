"""The data page and the verdicts: what is shown first, marked, folded; empty and huge data."""

import re

from lockgate.data.profile import CategoryProfile, DateProfile, NumberProfile, Profile
from lockgate.records import Check, Verdict
from lockgate.report import data_page, pages, verdict_page
from tests.unit.report_html import check
from tests.unit.report_records import (
    a_profile,
    a_snapshot,
    a_verdict,
    category,
)


def test_a_column_with_nothing_in_it_and_a_split_without_rows() -> None:
    empty = NumberProfile(
        rows=9, missing=9, infinite=0, zeros=0, mean=0, std=0, min=0, max=0, quantiles=(), is_integer=False
    )
    nothing = empty.model_copy(update={"rows": 0, "missing": 0})
    dates = DateProfile(rows=9, missing=9, distinct=0, min=None, max=None)
    none = CategoryProfile(rows=0, missing=0, distinct=0, values=(), mean_length=0)
    profile = Profile(
        snapshot="a" * 64,
        splits={
            "train": {"x": empty, "when": dates, "kind": category(["a"])},
            "tune": {"x": nothing, "when": dates.model_copy(update={"rows": 0, "missing": 0}), "kind": none},
            "live": {},
        },
    )
    html = pages.validation("wine", a_snapshot(profile), profile, a_verdict(), profile)
    check(html)
    assert "all missing" in html
    assert "no rows" in html
    nobody = Profile(snapshot="a" * 64, splits={})
    assert "no split has a row" in data_page.sections(a_snapshot(nobody), nobody)[-1].body


def test_a_column_that_changed_its_kind_or_is_new_or_gone() -> None:
    before = Profile(
        snapshot="b" * 64, splits={"train": {"x": category(["1", "2"]), "gone": category(["a"])}}
    )
    now = Profile(
        snapshot="a" * 64, splits={"train": {"x": a_profile().splits["train"]["ash"], "new": category(["a"])}}
    )
    html = pages.validation("wine", a_snapshot(now), now, a_verdict(), before)
    check(html)
    assert "New columns: <code>new</code>" in html
    assert "are gone: <code>gone</code>" in html


def test_ten_thousand_categories_and_two_hundred_columns_stay_readable() -> None:
    values = [f"value {k:05d}" for k in range(10_000)]
    splits = {
        s: {f"column {k}": category(values[k::7]) for k in range(200)} for s in ("train", "tune", "test")
    }
    profile = Profile(snapshot="a" * 64, splits=splits)
    html = pages.validation("wine", a_snapshot(profile), profile, a_verdict(passed=1500))
    check(html)
    assert len(html.encode()) < 3_000_000
    assert "160 more columns that change less" in html
    assert html.count("value 09") < 700


def test_columns_stand_in_the_order_of_their_change_the_label_first() -> None:
    same, moved = category(["a"] * 9 + ["b"]), category(["b"] * 9 + ["a"])
    profile = Profile(
        snapshot="a" * 64,
        splits={
            "train": {"calm": same, "moved": same, "label": same},
            "test": {"calm": same, "moved": moved, "label": same},
        },
    )
    body = data_page.sections(a_snapshot(profile), profile, label="label")[-1].body
    assert body.index(">label") < body.index(">moved") < body.index(">calm")


def test_a_column_is_marked_with_each_rule_that_it_failed_in_any_split() -> None:
    profile = a_profile()
    checks = [
        Check(rule=rule, subject=subject, severity="warning", passed=False, message="It moved.")
        for rule, subject in (("skew", "ash in tune"), ("skew", "ash in test"), ("drift", "ash"))
    ]
    body = data_page.sections(a_snapshot(profile), profile, Verdict(gate="data", checks=tuple(checks)))[
        -1
    ].body
    assert body.count(">skew</span>") == 1
    assert body.count(">drift</span>") == 1


def test_failed_checks_come_first_with_their_numbers_and_advice() -> None:
    (section,) = verdict_page.sections("wine", [a_verdict(closed=True)])
    body = section.body
    assert body.index("ash alone tells the label.") < body.index("alcohol moved") < body.index("column 0: 1%")
    assert body.index("<details>") < body.index("column 0: 1%")
    for words in ("Closed", "3 of 5 checks passed, 1 error, 1 warning", "0.99", "Take ash out of features."):
        assert words in body


def test_of_many_failures_the_first_stand_in_the_open_and_none_is_lost() -> None:
    checks = [
        Check(rule="skew", subject=f"{kind} {k}", severity=kind, passed=False, message=f"{kind} {k:03d}.")
        for kind, n in (("info", 40), ("warning", 40), ("error", 30))
        for k in range(n)
    ]
    body = verdict_page.sections("wine", [Verdict(gate="data", checks=tuple(checks))])[0].body
    opened = body.split("<details>")[0]
    assert re.findall(r"error (\d{3})\.", opened) == [f"{k:03d}" for k in range(25)]
    assert re.findall(r"warning (\d{3})\.", opened) == [f"{k:03d}" for k in range(10)]
    assert "info 0" not in opened
    assert len(re.findall(r"(?:info|warning|error) \d{3}\.", body)) == 110


def test_what_rounding_left_of_zero_is_shown_as_zero() -> None:
    column = a_profile().splits["train"]["ash"].model_copy(update={"min": -1.8e-15})
    column = column.model_copy(update={"quantiles": (-1.8e-15, *column.quantiles[1:])})
    profile = Profile(snapshot="a" * 64, splits={"train": {"rain": column}})
    body = data_page.sections(a_snapshot(profile), profile)[-1].body
    assert "e−15" not in body
    assert "<small>0 … " in body


def test_a_gate_without_checks_is_open() -> None:
    (section,) = verdict_page.sections("wine", [Verdict(gate="data", checks=())])
    assert "nothing to check" in section.body
