"""The comparison as pictures: SVG that stands alone, in the colours of the reports, light and dark."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.rollout.contest import FLAGGER, KAYENTA, LOCKGATE, Z_TEST
from bench.rollout.measure import Measured
from bench.rollout.ours import POLICY
from bench.rollout.world import BAD, LOOK, STEADY
from lockgate.report.chart import GRID, SOFT, TEXT, draw

WIDTH, HEIGHT = 720, 300
# The reports' own (lockgate/report/style.css), as a picture in a page of GitHub has no style sheet.
LIGHT = {"soft": "#56606c", "text": "#1a1f26", "grid": "#eceef0", "axis": "#a9b0b8", "ghost": "#9aa3ad"} | {
    "c1": "#0072b2", "c2": "#d98e00", "c3": "#009e73", "c4": "#c0609a", "c5": "#d55e00", "c6": "#5a6673",
}  # fmt: skip
DARK = {"soft": "#a3adb9", "text": "#e6e9ed", "grid": "#262b32", "axis": "#59626d", "ghost": "#7b8591"} | {
    "c1": "#56b4e9", "c2": "#f0b84a", "c3": "#3fc79d", "c4": "#e39ac3", "c5": "#ff8c4d", "c6": "#a3adb9",
}  # fmt: skip
OURS, OURS_EQUAL, POINTS, RANKS, Z = (f"var(--c{k})" for k in (1, 3, 5, 4, 2))


def draw_all(documented: Sequence[Measured], calibrated: Sequence[Measured], folder: Path) -> None:
    """Writes both pictures into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rollout-wrong.svg").write_text(wrong_over_time(documented), encoding="utf-8")
    (folder / "rollout-hits.svg").write_text(hits_by_rule(documented[0], calibrated), encoding="utf-8")


def wrong_over_time(documented: Sequence[Measured]) -> str:
    """The share of healthy candidates that has been rolled back by each minute, under steady load."""
    by = {found.contestant: found for found in documented}
    # The words stand over the line or under it, where there is room.
    named = (
        (by[LOCKGATE], "Lockgate", OURS, "top"),
        (by[FLAGGER], "point thresholds (Flagger's tutorial)", POINTS, "top"),
        (by[KAYENTA], "Mann-Whitney (Kayenta's judge)", RANKS, "bottom"),
        (by[Z_TEST], "z-test, α = 1 % a look", Z, "bottom"),
    )
    x = {
        "field": "x",
        "type": "quantitative",
        "axis": {"title": "minutes since the first step", "tickCount": 8},
        "scale": {"domain": [0, 40], "nice": False},
    }
    y = {
        "field": "y",
        "type": "quantitative",
        "axis": {"title": "healthy candidates rolled back, %", "values": [0.01, 0.1, 1, 10, 100]},
        "scale": {"type": "log", "domain": [0.01, 100]},
    }
    layers: list[dict[str, Any]] = []
    alpha = 100 * POLICY.analysis.alpha
    rule = {"type": "rule", "color": SOFT, "strokeDash": [4, 3]}
    layers.append({"data": {"values": [{"y": alpha}]}, "mark": rule, "encoding": {"y": y}})
    words = {"type": "text", "align": "right", "baseline": "bottom", "dy": -3, "color": SOFT}
    said = {"values": [{"x": 40, "y": alpha, "text": "α = 1 %"}]}
    layers.append({"data": said, "mark": words, "encoding": {"x": x, "y": y, "text": {"field": "text"}}})
    for found, name, colour, side in named:
        points = _climb(found)
        if not points:
            continue
        line = {"type": "line", "color": colour, "interpolate": "step-after", "strokeWidth": 2.2}
        layers.append({"data": {"values": points}, "mark": line, "encoding": {"x": x, "y": y}})
        words = {
            "type": "text",
            "align": "right",
            "baseline": side,
            "dy": -6 if side == "bottom" else 7,
            "color": colour,
            "fontSize": 12,
        }
        end = [{"x": 40, "y": points[-1]["y"], "text": name}]
        encoding = {"x": x, "y": y, "text": {"field": "text"}}
        layers.append({"data": {"values": end}, "mark": words, "encoding": encoding})
    label = "Share of healthy candidates rolled back over time: Lockgate stays below 1 %, the z-test climbs"
    return _alone(draw({"layer": layers}, label, height=HEIGHT, width=WIDTH), HEIGHT)


def hits_by_rule(shipped: Measured, calibrated: Sequence[Measured]) -> str:
    """The mean number of requests that each bad candidate has answered, a row a candidate."""
    colours = {"points": POINTS, "ranks": RANKS, "z": Z}
    names = {"points": "point thresholds", "ranks": "Mann-Whitney", "z": "z-test"}
    series = [(shipped, "Lockgate", OURS)]
    for one in calibrated:
        kind = one.contestant.kind
        named = ("Lockgate, 1 % wrong", OURS_EQUAL) if kind == "ours" else (names[kind], colours[kind])
        series.append((one, *named))
    values = [
        {"x": found.mean_hits(world.name), "y": world.said, "rule": name}
        for found, name, _ in series
        for world in BAD
    ]
    x = {
        "field": "x",
        "type": "quantitative",
        "axis": {
            "title": "requests answered by the bad candidate within an hour, mean",
            "grid": True,
            "values": [100, 1000, 10_000, 100_000],
            "format": ",d",
        },
        "scale": {"type": "log", "domain": [50, 400_000]},
    }
    y = {
        "field": "y",
        "type": "nominal",
        "sort": [world.said for world in BAD],
        "axis": {"title": None, "grid": True, "gridColor": GRID, "labelFontSize": 12, "labelColor": TEXT},
    }
    legend = {
        "orient": "top",
        "title": None,
        "labelColor": TEXT,
        "labelFontSize": 12,
        "symbolSize": 110,
        "labelLimit": 0,
        "columns": 3,
    }
    colour = {
        "field": "rule",
        "type": "nominal",
        "sort": None,
        "scale": {"domain": [name for _, name, _ in series], "range": [colour for *_, colour in series]},
        "legend": legend,
    }
    mark = {"type": "point", "filled": True, "size": 130, "opacity": 0.9}
    spec = {"data": {"values": values}, "mark": mark, "encoding": {"x": x, "y": y, "color": colour}}
    label = "Requests answered by bad candidates before rollback, by rule, at equal wrong rollbacks"
    return _alone(draw(spec, label, height=HEIGHT, width=WIDTH), HEIGHT)


def _climb(found: Measured) -> list[dict[str, float]]:
    """Each look at which the share grew, in minutes and per cent, from the first rollback on."""
    back = np.sort(found.outcomes[STEADY.name].back)
    looks = np.arange(LOOK, 40 * 60 + 1, LOOK)
    shares = 100 * np.searchsorted(back, looks, side="right") / len(back)
    grown = np.append(True, np.diff(shares) > 0)
    grown[-1] = True
    return [
        {"x": float(look) / 60, "y": float(share)}
        for look, share in zip(looks[grown], shares[grown], strict=True)
        if share > 0
    ]


def _alone(svg: str, height: int) -> str:
    """The picture with a size and colours of its own, so that it needs no page around it."""
    light, dark = (";".join(f"--{name}:{value}" for name, value in c.items()) for c in (LIGHT, DARK))
    style = (
        f"<style>svg{{{light};font-family:system-ui,sans-serif}}"
        f"@media (prefers-color-scheme:dark){{svg{{{dark}}}}}</style>"
    )
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" class="chart"'
    head, _, rest = str(svg).replace('<svg class="chart"', opening, 1).partition(">")
    return f"{head}>{style}{rest}\n"
