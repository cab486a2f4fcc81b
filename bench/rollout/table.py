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
    """What the columns are, and what was simulated."""
    analysis = POLICY.analysis
    healthy, bad = (len(documented[0].outcomes[worlds[0].name].back) for worlds in (HEALTHY, BAD))
    weights = ", ".join(str(weight) for weight in POLICY.carried)
    said = (
        f"Columns 2 to 5: {healthy:,} rollouts each of a candidate that is the same as the stable; share "
        "rolled back, with its 95 % interval (Wilson).",
        f"Columns 6 to 10: {bad:,} rollouts each of a bad candidate; requests that it answered within an "
        "hour, mean / median, and in brackets the share that was rolled back where not all were.",
        "Last column: median time to promotion of a good candidate under steady load.",
        f"World: {w.RATE:g} requests/s (Poisson); {w.ERRORS:.0%} errors; latency log-normal, median "
        f"{1000 * w.MEDIAN:g} ms, σ {w.SPREAD:g}; scores normal, σ {w.SIGMA / 0.05:g} of 20 bins.",
        f"Day: {w.DAY / 60:g} minutes long, load ±80 %, errors ±50 %, latency ±30 %. Outage: for "
        f"{w.OUTAGE / 60:g} minutes {w.OUTAGE_ERRORS:.0%} errors and {w.OUTAGE_SLOWER:g}-fold latency of "
        f"both. Cold start: {w.COLD_SLOWER:g}-fold latency of the candidate, falling by a time constant of "
        f"{w.COLD_SECONDS:g} s.",
        f"Rollout: {weights} %, each for at least 60 s (Mann-Whitney: 500 s, for 50 values), a soak of "
        f"{analysis.soak_seconds:g} s, a look every {w.LOOK} s.",
        f"Lockgate: α {analysis.alpha:g}, power {analysis.power:g}; margins {analysis.errors.margin:g} "
        f"(errors), {analysis.latency.margin:g} (share over {analysis.latency.limit_ms:g} ms), "
        f"{analysis.scores.margin:g} (scores); tolerances 0; "
        f"warm-up {analysis.latency.warmup_seconds:g} s, the calibrated rivals' too.",
    )
    return "\n".join(f"- {sentence}" for sentence in said)


def verdict(documented: Sequence[Measured], calibrated: Sequence[Measured]) -> str:
    """Whether ours dominates, counted."""
    worst = max(wrong(documented[0], world.name)[0] for world in HEALTHY)
    equal, *rivals = calibrated
    ratios = []
    for world in BAD:
        best = min(one.mean_hits(world.name) for one in rivals)
        shares = (best / one.mean_hits(world.name) for one in (equal, documented[0]))
        ratios.append("{}: {:.2f} ({:.2f})".format(world.said, *shares))
    return (
        f"Lockgate as shipped rolled back at most {worst:.2%} of the healthy candidates of any world. At "
        "equal wrong rollbacks, the best rival's mean requests over Lockgate's (in brackets: over those of "
        f"Lockgate as shipped): {'; '.join(ratios)}."
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
        cells.append(cell if share == 1 else f"{cell} ({100 * share:.4g} %)")
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
