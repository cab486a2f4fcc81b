"""The few kinds of large charts that reports use: lines with marks, and bars."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from lockgate.report.chart import GHOST, HEIGHT, SOFT, TEXT, clean, draw
from lockgate.report.document import render


@dataclass(frozen=True)
class Line:
    """One line of a chart: (x, y) in drawing order; `low` and `high`, when given, are a band around y.

    A stepped line keeps each y until the next x.
    """

    name: str
    points: Sequence[tuple[float, float]]
    colour: str
    dashed: bool = False
    dots: bool = False
    is_stepped: bool = False
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True)
class Mark:
    """A vertical line at x, or a dot at (x, y), with its words, which need `room`, a share of the axis."""

    x: float
    text: str
    y: float | None = None
    room: float = 0.5


@dataclass(frozen=True)
class Axis:
    """An axis: its title with the unit, its number format (d3), and its ends where they are fixed.

    With `ticks`, powers of ten, it is logarithmic.
    """

    title: str
    format: str = ""
    low: float | None = None
    high: float | None = None
    whole: bool = False
    ticks: Sequence[float] = ()

    def spec(self, field: str, *, zero: bool = False) -> dict[str, Any]:
        """The Vega-Lite channel for a numeric field."""
        scale: dict[str, Any] = {"zero": zero, "nice": self.low is None and self.high is None}
        if self.low is not None and self.high is not None:
            scale["domain"] = [self.low, self.high]
        axis: dict[str, Any] = {"title": self.title or None}
        if self.format:
            axis["format"] = self.format
        if self.whole:
            axis |= {"tickMinStep": 1, "format": ",d"}
        if self.ticks:
            scale |= {"type": "log", "zero": False}
            axis["values"] = list(self.ticks)
        return {"field": field, "type": "quantitative", "scale": scale, "axis": axis}


def lines(
    series: Sequence[Line],
    x: Axis,
    y: Axis,
    *,
    label: str,
    marks: Sequence[Mark] = (),
    diagonal: bool = False,
    height: int = HEIGHT,
) -> Markup:
    """Lines over numeric axes, drawn in the order given, with marks on top."""
    across, up = x.spec("x"), y.spec("y")
    layers: list[dict[str, Any]] = []
    if diagonal:
        line = {"type": "line", "color": GHOST, "strokeDash": [3, 3], "strokeWidth": 1, "clip": True}
        layers.append(_layer([{"x": 0, "y": 0}, {"x": 1, "y": 1}], line, across, up))
    for one in series:
        layers += _line(one, across, up)
    for mark in marks:
        layers += _mark(mark, across, up, x)
    return draw({"layer": layers}, label, height=height)


def _line(one: Line, across: dict[str, Any], up: dict[str, Any]) -> list[dict[str, Any]]:
    values = [{"i": i, "x": clean(a), "y": clean(b)} for i, (a, b) in enumerate(one.points)]
    layers = []
    if one.low and one.high:
        band = [
            {**v, "low": clean(low), "high": clean(high)}
            for v, low, high in zip(values, one.low, one.high, strict=True)
        ]
        span = {"type": "area", "color": one.colour, "opacity": 0.14, "strokeWidth": 0, "clip": True}
        layer = _layer(band, span, across, {**up, "field": "low"})
        layer["encoding"]["y2"] = {"field": "high"}
        layers.append(layer)
    mark: dict[str, Any] = {"type": "line", "color": one.colour, "clip": True}
    if one.is_stepped:
        mark["interpolate"] = "step-after"
    if one.dashed:
        mark |= {"strokeDash": [5, 3], "strokeWidth": 1.5}
    if one.dots or len(values) == 1:
        mark["point"] = {"size": 26, "filled": True, "color": one.colour}
    layer = _layer(values, mark, across, up)
    layer["encoding"]["order"] = {"field": "i", "type": "quantitative"}
    return [*layers, layer]


def _mark(mark: Mark, across: dict[str, Any], up: dict[str, Any], axis: Axis) -> list[dict[str, Any]]:
    value = {"x": mark.x, "text": mark.text}
    # Words stand on the side of the mark where there is room for them.
    late = False
    if axis.low is not None and axis.high is not None:
        late = mark.x > axis.high - mark.room * (axis.high - axis.low)
    words: dict[str, Any] = {
        "type": "text",
        "align": "right" if late else "left",
        "dx": -6 if late else 6,
        "color": TEXT,
    }
    text = {"field": "text", "type": "nominal"}
    if mark.y is None:
        rule = {"type": "rule", "color": SOFT, "strokeDash": [2, 2], "strokeWidth": 1}
        return [
            {"data": {"values": [value]}, "mark": rule, "encoding": {"x": across}},
            {
                "data": {"values": [value]},
                "mark": {**words, "baseline": "top", "y": 2},
                "encoding": {"x": across, "text": text},
            },
        ]
    value["y"] = mark.y
    above = {**words, "align": "center", "dx": 0, "baseline": "bottom", "dy": -10}
    dot = {"type": "point", "filled": True, "size": 70, "color": TEXT, "opacity": 1}
    return [
        _layer([value], dot, across, up),
        {"data": {"values": [value]}, "mark": above,
         "encoding": {"x": across, "y": up, "text": text}},
    ]  # fmt: skip


def _layer(
    values: list[Any], mark: dict[str, Any], across: dict[str, Any], up: dict[str, Any]
) -> dict[str, Any]:
    return {"data": {"values": values}, "mark": mark, "encoding": {"x": across, "y": up}}


@dataclass(frozen=True)
class Bars:
    """One set of bars: the share or count in each of the equally many intervals."""

    name: str
    heights: Sequence[float]
    colour: str


def histogram(
    edges: Sequence[float], sets: Sequence[Bars], x: Axis, y: Axis, *, label: str, marks: Sequence[Mark] = (),
    height: int = HEIGHT,
) -> Markup:  # fmt: skip
    """Sets of bars over the same intervals, laid over each other half-transparent, with their outlines."""
    across, up = x.spec("x"), y.spec("y", zero=True)
    layers: list[dict[str, Any]] = []
    for bars in sets:
        values = [
            {"x": low, "x2": high, "y": clean(h) or 0}
            for low, high, h in zip(edges, edges[1:], bars.heights, strict=False)
        ]
        bar = {"type": "bar", "color": bars.colour, "opacity": 0.45, "binSpacing": 0}
        layer = _layer(values, bar, across, up)
        layer["encoding"]["x2"] = {"field": "x2"}
        layer["encoding"]["y"] = {**up, "stack": None}
        layer["encoding"]["y2"] = {"datum": 0}
        layers.append(layer)
    for mark in marks:
        layers += _mark(mark, across, up, x)
    return draw({"layer": layers}, label, height=height)


def scatter(
    points: Sequence[tuple[float, float]], x: Axis, y: Axis, *, label: str, height: int = HEIGHT
) -> Markup:
    """Points with the line on which x equals y, for predictions against what came true."""
    ends = [v for pair in points for v in pair]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    across, up = x.spec("x"), y.spec("y")
    line = {"type": "line", "color": GHOST, "strokeDash": [3, 3], "strokeWidth": 1}
    dot = {"type": "circle", "color": "var(--c1)", "size": 14, "opacity": 0.45}
    layers = [
        _layer([{"x": low, "y": low}, {"x": high, "y": high}], line, across, up),
        _layer([{"x": clean(a), "y": clean(b)} for a, b in points], dot, across, up),
    ]
    return draw({"layer": layers}, label, height=height)


def figure(
    title: str, picture: Markup, *, note: str = "", legend: Sequence[tuple[str, str, str]] = ()
) -> Markup:
    """A chart with its title, a line of explanation, and a legend of (name, colour, "" | "dash" | "box")."""
    return render("figure.html", title=title, picture=picture, note=note, legend=legend)


def legend_of(series: Sequence[Line]) -> list[tuple[str, str, str]]:
    """The legend's entries of these lines."""
    return [(one.name, one.colour, "dash" if one.dashed else "") for one in series]
