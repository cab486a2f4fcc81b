"""Vega-Lite charts as static SVG: colours are variables of the page, so that light and dark both work.

Specifications are written as Vega-Lite JSON and drawn by vl-convert alone: it needs no browser and no
network, and leaving altair's Python layer out saves 0.6 s in each step that draws.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

WIDTH = 500
HEIGHT = 250

SPLIT_COLOURS = {"train": "var(--c1)", "tune": "var(--c2)", "test": "var(--c3)", "live": "var(--c4)"}
PALETTE = tuple(f"var(--c{k})" for k in range(1, 9))
SOFT, TEXT, GRID, AXIS, GHOST = "var(--soft)", "var(--text)", "var(--grid)", "var(--axis)", "var(--ghost)"

_VERSION = "6.1"
_CONFIG: Mapping[str, Any] = {
    "font": "inherit",
    "view": {"stroke": None},
    "axis": {
        "labelColor": SOFT, "titleColor": SOFT, "gridColor": GRID, "domainColor": AXIS, "tickColor": AXIS,
        "labelFontSize": 11, "titleFontSize": 11.5, "titleFontWeight": "normal", "titlePadding": 7,
        "labelPadding": 4, "tickSize": 4,
    },
    "axisY": {"domain": False, "ticks": False, "tickCount": 5},
    "axisX": {"grid": False, "tickCount": 6},
    "line": {"strokeWidth": 1.8, "strokeJoin": "round"},
    "text": {"color": SOFT, "fontSize": 11},
}  # fmt: skip

_OPENING = re.compile(r'^<svg[^>]*?viewBox="([^"]*)"[^>]*>')
_NOISE = re.compile(r' (?:role|aria-[a-z]+|pointer-events|stroke-miterlimit)="[^"]*"')
_EMPTY = re.compile(r'<path class="(?:background|foreground)"[^>]*d="(?:M0,0h0v0h0Z)?"[^>]*/>|<g></g>')
_ID = re.compile(r'(id="|url\(#)(clip\d+|gradient_\d+)')


def draw(spec: Mapping[str, Any], label: str, *, height: int = HEIGHT, width: int = WIDTH) -> Markup:
    """Draws a Vega-Lite specification as an inline SVG that scales with the page.

    Args:
        spec: without size, background and configuration; data must be inline.
        label: what the chart shows, for those who cannot see it; plain text.
        height: of the whole picture in CSS pixels, axes included.
        width: of the whole picture in CSS pixels, axes included.

    Raises:
        ValueError: the specification is not valid Vega-Lite.
    """
    import vl_convert

    whole = {
        **spec,
        "width": width,
        "height": height,
        "background": None,
        "padding": 2,
        "autosize": {"type": "fit", "contains": "padding"},
        "config": _CONFIG,
    }
    svg: str = vl_convert.vegalite_to_svg(whole, vl_version=_VERSION)
    name = hashlib.sha256(json.dumps([label, whole], sort_keys=True).encode()).hexdigest()[:8]
    return Markup(_inline(svg, label, name))  # noqa: S704 - Vega escapes text, the label is escaped below


def _inline(svg: str, label: str, name: str) -> str:
    numbers: dict[str, int] = {}  # vl-convert counts on from chart to chart; a page must not depend on that

    def own(found: re.Match[str]) -> str:
        return f"{found[1]}c{name}-{numbers.setdefault(found[2], len(numbers))}"

    svg = _ID.sub(own, svg)
    svg = _EMPTY.sub("", _NOISE.sub("", svg))
    opening = rf'<svg class="chart" viewBox="\1" role="img" aria-label="{_literal(label)}">'
    return _OPENING.sub(opening, svg, count=1)


def _literal(text: str) -> str:
    return str(escape(text)).replace("\\", r"\\")


def clean(value: float | None) -> float | None:
    """A value that JSON can hold: NaN and infinities are left out of a chart."""
    return value if value is not None and math.isfinite(value) else None
