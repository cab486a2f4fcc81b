"""Charts, small pictures, distributions and numbers."""

import doctest
import math
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.report import mini, numbers, plots
from lockgate.report.distribution import distance, shares_of
from tests.unit.report_records import category, number


def test_numbers_read_as_documented() -> None:
    failed, ran = doctest.testmod(numbers)
    assert failed == 0
    assert ran >= 10


def a_chart() -> str:
    line = plots.Line(
        "<script>", [(0, 1), (1, float("nan")), (2, 3)], "var(--c1)", dots=True, low=[0, 1, 2], high=[2, 3, 4]
    )
    return str(
        plots.lines(
            [line],
            plots.Axis("</svg><script>"),
            plots.Axis("é"),
            label='a "label" \\1',
            marks=[plots.Mark(1, "<b>best</b>")],
        )
    )


def test_a_chart_is_one_svg_in_the_colours_of_the_page_with_its_own_ids() -> None:
    svg = a_chart()
    assert svg == a_chart()
    root = ElementTree.fromstring(svg)  # well-formed, so nothing in it broke out
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == 'a "label" \\1'
    assert "var(--c1)" in svg
    assert "script>" not in re.sub(r"&lt;/?(svg|script)&gt;", "", svg)
    colours = set(re.findall(r'(?:fill|stroke)="([^"]*)"', svg))
    assert {c for c in colours if not c.startswith("var(--")} <= {"none", "transparent"}
    other = str(
        plots.lines(
            [plots.Line("a", [(0, 1), (2, 3)], "var(--c2)")], plots.Axis("x"), plots.Axis("y"), label="b"
        )
    )
    assert not set(re.findall(r'id="([^"]*)"', svg)) & set(re.findall(r'id="([^"]*)"', other))


def test_charts_are_valid_vega_lite(monkeypatch: pytest.MonkeyPatch) -> None:
    import altair

    from lockgate.report import chart

    seen = []
    real = chart.draw
    monkeypatch.setattr(
        plots, "draw", lambda spec, label, **size: seen.append(spec) or real(spec, label, **size)
    )
    a_chart()
    x, y = plots.Axis("x", low=0, high=1), plots.Axis("y", format=".0%")
    plots.histogram(
        [0, 0.5, 1], [plots.Bars("a", [0.2, 0.8], "var(--c1)")], x, y, label="h", marks=[plots.Mark(0.9, "t")]
    )
    plots.scatter([(1, 2), (2, 2)], plots.Axis("x"), plots.Axis("y", whole=True), label="s")
    plots.lines(
        [plots.Line("c", [(0, 1), (1, 0)], "var(--c1)")], x, y, label="c", marks=[plots.Mark(0.2, "t", y=0.5)]
    )
    assert len(seen) == 4
    for spec in seen:
        altair.LayerChart.from_dict(spec)


def test_histograms_stand_on_zero() -> None:
    x = plots.Axis("x", low=0, high=2)
    svg = str(
        plots.histogram(
            [0, 1, 2], [plots.Bars("a", [0.25, 0.75], "var(--c1)")], x, plots.Axis("y"), label="h"
        )
    )
    heights = [float(h) for h in re.findall(r'fill="var\(--c1\)"[^>]*d="[^"]*v([\d.]+)', svg)] or [
        float(h) for h in re.findall(r'd="M[^"]*?v([\d.]+)h-[^"]*"[^>]*fill="var\(--c1\)"', svg)
    ]
    assert len(heights) == 2
    assert heights[1] == pytest.approx(3 * heights[0], rel=0.05)


def test_labels_of_small_pictures_are_escaped() -> None:
    svg = mini.bars([0.5, 0.5], top=1, colour="var(--c1)", label='"><script>')
    assert ElementTree.fromstring(str(svg)).attrib["aria-label"] == '"><script>'


def test_a_value_off_the_scale_is_an_arrow_not_a_dot() -> None:
    inside = mini.whisker(0.5, 0.4, 0.6, domain=(0, 1), label="a")
    outside = mini.whisker(5, 4, 6, domain=(0, 1), label="a")
    assert "<circle" in inside
    assert "<circle" not in outside


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.integers(0, 50))
@settings(max_examples=60, deadline=None)
def test_shares_add_up_to_one_with_the_missing_rows(values: list[float], missing: int) -> None:
    found = shares_of({"train": number(np.asarray(values), missing), "test": number(np.asarray(values[:1]))})
    for sample in ("train", "test"):
        assert sum(found.shares[sample]) + found.missing[sample] == pytest.approx(1)


@given(
    st.lists(st.sampled_from("abcdefghijklmnop"), min_size=1),
    st.lists(st.sampled_from("abcdefgh"), min_size=1),
    st.integers(0, 9),
)
@settings(max_examples=60, deadline=None)
def test_the_distance_is_symmetric_within_bounds_and_zero_for_the_same(
    one: list[str], other: list[str], missing: int
) -> None:
    a, b = category(one, missing), category(other)
    found = distance(a, b)
    assert found is not None
    assert 0 <= found <= 1
    assert found == pytest.approx(distance(b, a))
    assert distance(a, a) == pytest.approx(0, abs=1e-7)


def test_the_distance_agrees_with_scipy() -> None:
    from scipy.spatial.distance import jensenshannon

    a, b = category(["x"] * 6 + ["y"] * 4), category(["x"] * 1 + ["y"] * 8 + ["z"])
    assert distance(a, b) == pytest.approx(jensenshannon([0.6, 0.4, 0], [0.1, 0.8, 0.1], base=2))


def test_samples_with_nothing_in_common_are_one_apart() -> None:
    assert distance(category(["a"]), category(["b"])) == pytest.approx(1)
    assert distance(number(np.arange(50.0)), number(np.arange(1000.0, 1050.0))) == pytest.approx(1)
    assert distance(number(np.arange(5.0)), category(["a"])) is None


def test_the_histogram_of_whole_numbers_has_a_bar_for_each() -> None:
    found = shares_of({"train": number(np.repeat([1.0, 2.0, 7.0], [50, 30, 20]))})
    assert len(found.names) == 7
    assert found.shares["train"] == pytest.approx((0.5, 0.3, 0, 0, 0, 0, 0.2), abs=0.002)


def test_a_scale_without_values_is_still_a_scale() -> None:
    assert mini.domain_of([]) == (0.0, 1.0)
    assert mini.domain_of([None, math.nan, 3.0]) == (2.5, 3.5)
