"""From which score on a row counts as positive: the cheapest threshold by the user's costs."""

import math

import numpy as np

from lockgate.evaluation.record import CostPoint, Operating, Threshold
from lockgate.evaluation.scored import Floats, Scored, confusion
from lockgate.project import Costs
from lockgate.report.numbers import number

ALWAYS, NEVER = 0.0, math.nextafter(1.0, 2.0)
POINTS = 200


def choose(tune: Scored, costs: Costs) -> float:
    """The threshold with the smallest cost on these rows; the smaller one among equals.

    Every way to part the rows by score is looked at, calling all of them or none of them positive
    included, so no other threshold is cheaper on these rows. It lies midway between the two scores that
    it parts.
    """
    scores, total = _all_costs(tune, costs)
    best = int(np.argmin(total))
    if best == 0:
        return ALWAYS
    if best == len(scores):
        return NEVER
    middle = float(scores[best - 1] + scores[best]) / 2
    # Between neighbours in floating point there is no middle: then the upper score itself.
    return middle if middle > scores[best - 1] else float(scores[best])


def _all_costs(scored: Scored, costs: Costs) -> tuple[Floats, Floats]:
    """The different scores [u], ascending, and the total cost [u + 1] of calling the k-th and higher."""
    order = np.argsort(scored.predictions, kind="stable")
    scores, positive = scored.predictions[order], scored.labels[order] == 1
    starts = np.flatnonzero(np.r_[True, scores[1:] != scores[:-1]])
    cuts = np.r_[starts, len(scores)]
    missed = np.r_[0, np.cumsum(positive)][cuts]
    alarms = (~positive).sum() - np.r_[0, np.cumsum(~positive)][cuts]
    return scores[starts], missed * costs.false_negative + alarms * costs.false_positive


def cost_per_thousand(scored: Scored, costs: Costs) -> float:
    """What the decisions at the rows' threshold cost per 1,000 rows, in the user's unit."""
    ((_, alarms), (missed, _)) = confusion(scored)
    return float(alarms * costs.false_positive + missed * costs.false_negative) * 1000 / scored.rows


def decide(tune: Scored | None, test: Scored, costs: Costs | None, positive: str) -> Threshold:
    """Chooses the threshold on the tune rows, and says in the user's words what it does on the test rows.

    Without costs, or without labelled tune rows, it is 0.5.

    Args:
        tune: the network on the tune split; None or no rows: nothing to choose on.
        test: the network on the test split.
        costs: of wrong decisions, or None.
        positive: what the positive class is called.
    """
    known = costs is not None and tune is not None and tune.rows > 0
    value = choose(tune, costs) if costs is not None and tune is not None and known else 0.5
    ways = {"chosen": value, "0.5": 0.5, "always": ALWAYS, "never": NEVER}
    operating = tuple(_operating(name, test.at(t), costs) for name, t in ways.items())
    if costs is None:
        sentence = (
            "No costs are given, so a row counts as "
            f"{positive!r} from a probability of 0.5 on; set evaluate.costs to choose by what mistakes cost."
        )
        return Threshold(value=value, chosen_on="default", sentence=sentence, operating=operating)
    return Threshold(
        value=value,
        chosen_on="tune" if known else "default",
        sentence=_sentence(value, known, operating, costs, positive),
        operating=operating,
        unit=costs.unit,
        false_positive_cost=costs.false_positive,
        false_negative_cost=costs.false_negative,
        points=_points(test, costs),
    )


def _operating(name: str, scored: Scored, costs: Costs | None) -> Operating:
    counts = confusion(scored)
    return Operating(
        name=name,
        threshold=scored.threshold,
        true_negatives=int(counts[0, 0]),
        false_positives=int(counts[0, 1]),
        false_negatives=int(counts[1, 0]),
        true_positives=int(counts[1, 1]),
        cost=None if costs is None else cost_per_thousand(scored, costs),
    )


def _sentence(
    value: float, known: bool, operating: tuple[Operating, ...], costs: Costs, positive: str
) -> str:
    prices = (
        f"At a false negative costing {_amount(costs.false_negative, costs.unit)} "
        f"and a false positive {_amount(costs.false_positive, costs.unit)}"
    )
    chosen, half, always, never = (number(way.cost, 3) for way in operating)
    if not known:
        cost = f"mistakes come to {half} {costs.unit} per 1,000 rows at 0.5"
        return f"{prices}, {cost}: no tune rows have labels to choose on."
    if value == ALWAYS:
        choice = f"it is cheapest to call every row {positive!r}"
    elif value == NEVER:
        choice = f"it is cheapest never to call a row {positive!r}"
    else:
        choice = f"the cheapest threshold is {number(value, 2)}"
    return (
        f"{prices}, {choice}: {chosen} {costs.unit} per 1,000 test rows instead of {half} at 0.5, "
        f"{always} when every row is called {positive!r} and {never} when none is."
    )


def _amount(value: float, unit: str) -> str:
    """A cost in the user's unit; "1 minute of waiting" where the unit is "minutes of waiting"."""
    first, space, rest = unit.partition(" ")
    single = value == 1 and len(first) > 3 and first.endswith("s") and not first.endswith("ss")
    return f"{number(value)} {first[:-1] if single else first}{space}{rest}"


def _points(scored: Scored, costs: Costs) -> tuple[CostPoint, ...]:
    scores, total = _all_costs(scored, costs)
    grid = np.linspace(0, 1, POINTS)
    cost = total[np.searchsorted(scores, grid, side="left")] * 1000 / scored.rows
    return tuple(CostPoint(threshold=float(t), cost=float(c)) for t, c in zip(grid, cost, strict=True))
