"""The rollout: how the candidate's share of the requests rose or fell, and what happened on the way."""

from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise

from markupsafe import Markup

from lockgate.report import numbers
from lockgate.report.document import Section, render
from lockgate.report.plots import Axis, Line, figure, legend_of, lines
from lockgate.report.rollout_evidence import evidence, time_axis
from lockgate.rollout.record import Moment, RolloutRecord

ENDS = {
    "Promoted": ("good", "Promoted"),
    "RolledBack": ("bad", "Rolled back"),
    "Superseded": ("warn", "Superseded"),
    "Withdrawn": ("warn", "Withdrawn"),
    "": ("warn", "Not ended"),
}


def sections(record: RolloutRecord) -> list[Section]:
    """How the traffic moved, the evidence with its limits, what was measured, and what happened."""
    parts = [
        ("rollout", "How the traffic moved", _traffic(record)),
        ("rollout-evidence", "The evidence", evidence(record)),
        ("rollout-events", "What happened", render("rollout_events.html", record=record)),
    ]
    return [Section(id=name, title=title, body=body, group="Rollout") for name, title, body in parts]


def outcome(record: RolloutRecord) -> tuple[str, str, str]:
    """How it ended: the colour class, a word, and the decision's sentence."""
    colour, word = ENDS[record.outcome]
    return colour, word, numbers.sentence(record.message)


def _traffic(record: RolloutRecord) -> Markup:
    pictures = [] if len(record.moments) < 2 else [_weight(record), _rates(record)]
    return render(
        "rollout.html",
        record=record,
        outcome=outcome(record),
        highest=max((moment.weight for moment in record.moments), default=0),
        pictures=pictures,
    )


def _weight(record: RolloutRecord) -> Markup:
    """The share that was wanted, and the one that the servers' own counts show."""
    wanted = [(moment.seconds, moment.weight) for moment in record.moments]
    series = [Line("wanted", wanted, "var(--c1)", is_stepped=True)]
    for observed in _observed(record.moments):
        shares = [(seconds, share) for seconds, (share, _, _) in observed]
        low, high = ([each[place] for _, each in observed] for place in (1, 2))
        series.append(Line("observed, with its 99 % interval", shares, "var(--c2)", low=low, high=high))
    picture = lines(
        series,
        time_axis(record),
        Axis("% of the requests", low=0, high=100),
        label=f"The candidate's share of the requests over {numbers.seconds(record.seconds)}: "
        + ", ".join(f"{moment.weight} %" for moment in record.turns()),
    )
    return figure("The candidate’s share", picture, legend=legend_of(series[:2]))


def _observed(moments: Iterable[Moment]) -> Iterator[list[tuple[float, tuple[float, float, float]]]]:
    """The observed shares, in a piece for each weight: its count begins anew there."""
    for _, group in groupby(moments, key=lambda moment: moment.weight):
        seen = [(moment.seconds, moment.observed) for moment in group if moment.observed is not None]
        if seen:
            yield seen


def _rates(record: RolloutRecord) -> Markup:
    """Requests a second of each revision, as its servers counted them."""
    series = []
    for name, colour in ((record.stable, "var(--c6)"), (record.candidate, "var(--c1)")):
        known = [(moment.seconds, moment.requests.get(name, 0)) for moment in record.moments]
        rates = [
            (at, max(0, n - m) / (at - before)) for (before, m), (at, n) in pairwise(known) if at > before
        ]
        series.append(Line(name, rates, colour))
    picture = lines(
        series,
        time_axis(record),
        Axis("requests a second"),
        label=f"Requests a second answered by {record.stable} and {record.candidate}",
    )
    return figure("Requests answered", picture, legend=legend_of(series))
