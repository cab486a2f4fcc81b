"""The evidence of a rollout: over time and beside its limits, and what it was counted from."""

import math
from typing import Any

from markupsafe import Markup

from lockgate.report import numbers
from lockgate.report.document import render
from lockgate.report.mini import bar
from lockgate.report.plots import Axis, Line, Mark, figure, legend_of, lines
from lockgate.rollout.readings import Reading, odds
from lockgate.rollout.record import RolloutRecord

NAMES = {
    "errors": "failed requests",
    "latency": "slow requests",
    "scores": "scores",
    "agreement": "agreement",
    "labels": "loss on labels",
    "split": "split",
}
COLOURS = {
    "errors": "var(--c5)",
    "latency": "var(--c2)",
    "scores": "var(--c1)",
    "agreement": "var(--c3)",
    "labels": "var(--c4)",
    "split": "var(--c7)",
}
# The powers of ten that are drawn: from odds of 0.01 to 1, up to 100 times the limit.
LOWEST, BEYOND = -2.0, 2.0


def evidence(record: RolloutRecord) -> Markup:
    """Both kinds of evidence as pictures, and the last reading of each measure."""
    limit, needed = 1 / record.alpha, 1 / (1 - record.power)
    pictures = [] if len(record.moments) < 2 else [_against(record, limit), _in_favour(record, needed)]
    return render(
        "rollout_evidence.html",
        record=record,
        limit=limit,
        needed=needed,
        rows=[_row(reading, limit, needed) for reading in record.readings if reading.candidate_requests],
        pictures=[picture for picture in pictures if picture],
    )


def time_axis(record: RolloutRecord) -> Axis:
    """The time of all pictures of a rollout."""
    return Axis("seconds since the rollout began", low=0, high=record.seconds)


def _against(record: RolloutRecord, limit: float) -> Markup:
    """Evidence of each measure against the candidate, and of all together, which is what counts."""
    series = [
        Line(NAMES.get(name, name), points, COLOURS.get(name, "var(--ghost)"))
        for name, points in _curves(record, "against")
    ]
    total = [(moment.seconds, moment.total) for moment in record.moments if moment.against]
    series.append(Line("all together", total, "var(--text)"))
    return _odds_over_time(
        record,
        "Evidence that it is bad",
        f"at {numbers.number(limit)} to 1 it goes back",
        series,
        limit,
    )


def _in_favour(record: RolloutRecord, needed: float) -> Markup:
    """Evidence that the candidate is fine at the weight that comes next."""
    series = [
        Line(NAMES.get(name, name), points, COLOURS.get(name, "var(--ghost)"))
        for name, points in _curves(record, "in_favour")
    ]
    return _odds_over_time(
        record,
        "Evidence that the next step is safe",
        f"every measure must reach {numbers.number(needed)} to 1, and a larger step asks for more",
        series,
        needed,
    )


def _curves(record: RolloutRecord, side: str) -> list[tuple[str, list[tuple[float, float]]]]:
    """The logarithms of the evidence over time, by measure; without those that had nothing to go by."""
    names = dict.fromkeys(name for moment in record.moments for name in getattr(moment, side))
    found = [
        (name, [(m.seconds, getattr(m, side)[name]) for m in record.moments if name in getattr(m, side)])
        for name in names
    ]
    return [(name, points) for name, points in found if any(log for _, log in points)]


def _odds_over_time(record: RolloutRecord, title: str, note: str, series: list[Line], limit: float) -> Markup:
    """Curves of odds on a logarithmic scale, with their limit as a dashed line."""
    drawn = [each for each in series if each.points]
    if not drawn:
        return Markup()
    top = math.ceil(math.log10(limit) + BEYOND)
    clipped = [
        Line(each.name, [(x, _odds(log, top)) for x, log in each.points], each.colour) for each in drawn
    ]
    edge = Line("limit", [(0, limit), (record.seconds, limit)], "var(--soft)", dashed=True)
    marks = [Mark(turn.seconds, f"{turn.weight} %", room=0.08) for turn in record.turns() if turn.weight]
    ticks = [10.0**power for power in range(int(LOWEST), top + 1)]
    picture = lines(
        [edge, *clipped],
        time_axis(record),
        Axis("odds, to 1", format=",~g", low=ticks[0], high=ticks[-1], ticks=ticks),
        label=f"{title}, on a logarithmic scale: {note}",
        marks=marks,
    )
    return figure(title, picture, note=note, legend=legend_of([*clipped, edge]))


def _odds(log: float, top: float) -> float:
    """Odds from their natural logarithm, kept within the picture's frame."""
    return float(10.0 ** min(max(log / math.log(10), LOWEST), top))


def _row(reading: Reading, limit: float, needed: float) -> dict[str, Any]:
    """A measure's row: both revisions' values, and each side's evidence beside its limit."""
    return {
        "name": numbers.heading(NAMES.get(reading.measure, reading.measure)),
        "sentence": numbers.sentence(reading.sentence),
        "stable": numbers.count(reading.stable_requests) if reading.stable_requests else numbers.NONE,
        "candidate": numbers.count(reading.candidate_requests),
        "against": _evidence_cell(reading.against, limit, "var(--c5)"),
        "in_favour": None if reading.for_it is None else _evidence_cell(reading.for_it, needed, "var(--c3)"),
    }


def _evidence_cell(log: float, limit: float, colour: str) -> tuple[str, Markup]:
    """Odds in words, and as a bar that is full at the limit."""
    share = min(max(log / math.log(limit), 0.0), 1.0)
    label = f"{odds(log)} to 1, the limit is {numbers.number(limit)} to 1"
    return odds(log), bar(share, domain=(0.0, 1.0), colour=colour, label=label, width=90)
