"""The one table: our rule beside the field's."""

from collections.abc import Sequence

import numpy as np

from bench.rollout import world as w
from bench.rollout.contest import NONE
from bench.rollout.measure import Measured
from bench.rollout.ours import POLICY
from bench.rollout.world import BAD, HEALTHY, STEADY
from lockgate.evaluation.wilson import wilson

CONFIDENCE = 0.95


def table(documented: Sequence[Measured], calibrated: Sequence[Measured]) -> str:
    """Markdown: a caption with every parameter, and a row a rule."""
    head = ["rule", *(f"{world.said}" for world in HEALTHY), *(world.said for world in BAD), "promoted"]
    lines = [caption(documented), "", _row(head), _row(["---"] * len(head))]
    lines += [_row(["*as documented*", *[""] * (len(head) - 1)])]
    lines += [_row(_cells(found)) for found in documented]
    lines += [_row(["*limits so that at most 1 % go back wrongly*", *[""] * (len(head) - 1)])]
    lines += [_row(_cells(found)) for found in calibrated]
    lines += ["", *(_limits(found) for found in calibrated), "", verdict(documented, calibrated)]
    return "\n".join(lines)


def caption(documented: Sequence[Measured]) -> str:
    """What was simulated."""
    analysis = POLICY.analysis
    healthy, bad = (len(documented[0].outcomes[worlds[0].name].back) for worlds in (HEALTHY, BAD))
    weights = ", ".join(str(weight) for weight in POLICY.carried)
    return (
        f"{healthy:,} rollouts of each healthy candidate (columns 2 to 5: share rolled back, with its 95 % "
        f"interval), {bad:,} of each bad one (columns 6 to 10: requests that it answered within an hour, mean / "
        "median; where not all were rolled back, the share that was), and the median time in which a healthy one "
        "was promoted under steady load. "
        f"{w.RATE:g} requests/s, {w.ERRORS:.0%} errors, latency log-normal with median {1000 * w.MEDIAN:g} ms and "
        f"σ {w.SPREAD:g}, scores normal in a histogram of 20 bins with σ of {w.SIGMA / 0.05:g} bins. "
        f"Diurnal: a day of {w.DAY / 60:g} minutes, load ±80 %, errors ±50 %, latency ±30 %. Outage: "
        f"{w.OUTAGE / 60:g} minutes at {w.OUTAGE_ERRORS:.0%} errors and {w.OUTAGE_SLOWER:g}-fold latency for both. "
        f"Cold start: {w.COLD_SLOWER:g}-fold latency, falling with a time constant of {w.COLD_SECONDS:g} s. "
        f"Steps {weights} % of at least 60 s (Mann-Whitney: 500 s, for 50 values), a soak of "
        f"{analysis.soak_seconds:g} s; a look every {w.LOOK} s. Lockgate: α {analysis.alpha:g}, power "
        f"{analysis.power:g}, margins {analysis.errors.margin:g} (errors), {analysis.latency.margin:g} (share over "
        f"{analysis.latency.limit_ms:g} ms), {analysis.scores.margin:g} (scores), all tolerances 0, warm-up "
        f"{analysis.latency.warmup_seconds:g} s; the calibrated rivals have the same warm-up."
    )


def verdict(documented: Sequence[Measured], calibrated: Sequence[Measured]) -> str:
    """Whether ours dominates, counted."""
    shipped, ours, *rivals = (*documented[:1], *calibrated)
    fewer = [
        f"{world.said}: {min(rivals, key=lambda one: one.mean_hits(world.name)).mean_hits(world.name) / ours.mean_hits(world.name):.2f}"
        for world in BAD
    ]
    worst = max(wrong(shipped, world.name)[0] for world in HEALTHY)
    return (
        f"Wrong rollbacks of Lockgate as shipped: at most {worst:.2%} in any healthy world. At equal wrong "
        "rollbacks, mean requests hit by the best rival over Lockgate's: " + "; ".join(fewer) + "."
    )


def wrong(found: Measured, world: str) -> tuple[float, float, float]:
    """The share of the candidates that were rolled back, with its interval (Wilson)."""
    back = np.isfinite(found.outcomes[world].back)
    return float(back.mean()), *wilson(int(back.sum()), len(back), CONFIDENCE)


def _cells(found: Measured) -> list[str]:
    cells = [found.contestant.title]
    for world in HEALTHY:
        share, low, high = wrong(found, world.name)
        cells.append(f"{100 * share:.2f} % ({100 * low:.2f}–{100 * high:.2f})")
    for world in BAD:
        outcome = found.outcomes[world.name]
        cell = f"{outcome.hits.mean():,.0f} / {np.median(outcome.hits):,.0f}"
        share = np.isfinite(outcome.back).mean()
        cells.append(cell if share == 1 else f"{cell} ({100 * share:.3g} %)")
    promoted = np.median(found.outcomes[STEADY.name].promoted)
    return [*cells, f"{promoted:,.0f} s" if np.isfinite(promoted) else "never"]


def _limits(found: Measured) -> str:
    one = found.contestant
    if one.limits == NONE:
        return f"- {one.title}: α {one.alpha:.3g} in the rule"
    what = {"points": "share of errors, p99 in s, mean score's distance"}.get(
        one.kind, "z of errors, latency, scores"
    )
    return f"- {one.title}: {what} " + ", ".join(f"{limit:.3g}" for limit in one.limits)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
