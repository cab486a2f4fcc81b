"""The model gate: which rules of project.yaml the evaluation meets, and what to do where it does not."""

import math
from collections.abc import Iterator, Mapping

from lockgate.evaluation.metrics import METRICS, TITLES
from lockgate.evaluation.record import Comparison, EvaluationRecord, Gap, SliceScore
from lockgate.project import ModelRules, Project
from lockgate.records import Check, Severity, Verdict
from lockgate.report.numbers import number, percent


def judge(record: EvaluationRecord, project: Project) -> Verdict:
    """Applies evaluate.rules to what the evaluation found.

    Rules, by name: `finite`, `minimum`, `maximum`, `baseline`, `baseline_evidence` (a warning),
    `first_model`, `champion`, `slice_drop`, `fairness_gap`. A metric that could not be computed passes no
    rule: no data is never good.
    """
    rules = project.evaluate.rules
    checks = [
        _finite(record),
        *_bounds(record, rules.minimum, "minimum"),
        *_bounds(record, rules.maximum, "maximum"),
        *_baselines(record, rules),
        *_champion(record, rules),
        *_slices(record, rules),
        *_fairness(record, rules),
    ]
    return Verdict(gate="model", checks=tuple(checks))


def _finite(record: EvaluationRecord) -> Check:
    bad = record.non_finite
    return Check(
        rule="finite",
        subject="network",
        severity="error",
        passed=bad == 0,
        value=bad,
        limit=0,
        rows=record.rows,
        message=f"{bad:,} predictions are not finite numbers."
        if bad
        else "All predictions are finite numbers.",
        advice="Lower train.learning_rate, set train.clip_norm, or clip the features." if bad else "",
    )


def _bounds(record: EvaluationRecord, limits: Mapping[str, float], rule: str) -> Iterator[Check]:
    for name, limit in limits.items():
        found = record.network.metric(name)
        if found is None or math.isnan(found.value):
            why = "is not defined on these rows" if found else f"is not a metric of a {record.task} task"
            yield Check(
                rule=rule,
                subject=name,
                severity="error",
                passed=False,
                limit=limit,
                rows=record.rows,
                message=f"{TITLES.get(name, name)} {why}, so its {rule} of {number(limit)} is not met.",
                advice=f"Use one of {', '.join(METRICS[record.task])} in evaluate.rules.{rule}.",
            )
            continue
        passed = found.value >= limit if rule == "minimum" else found.value <= limit
        side = "at least" if rule == "minimum" else "at most"
        yield Check(
            rule=rule,
            subject=name,
            severity="error",
            passed=passed,
            value=found.value,
            limit=limit,
            rows=found.rows,
            message=f"{TITLES[name]} is {number(found.value)}{_ends(found.low, found.high)} "
            f"on {found.rows:,} test rows; it must be {side} {number(limit)}.",
            advice="" if passed else "Look at the slices and the worst mistakes for what the model lacks.",
        )


def _ends(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" ({number(low)} to {number(high)})"


def _baselines(record: EvaluationRecord, rules: ModelRules) -> Iterator[Check]:
    if (limit := rules.baseline_gain) is None:
        return
    found = [c for c in record.comparisons if c.role == "baseline"]
    if not found:
        yield Check(
            rule="baseline",
            subject=record.metric,
            severity="error",
            passed=False,
            limit=limit,
            rows=record.rows,
            message="No baseline was scored on the test rows: nothing shows the worth of the network.",
            advice="Train again: `lockgate run --from train`; or set evaluate.rules.baseline_gain to null.",
        )
    for comparison in found:
        # Equal to the baseline is not better, whatever the limit's last digit.
        passed = comparison.gain >= limit and (comparison.gain > 0 or limit < 0)
        yield _compared(
            comparison,
            "baseline",
            passed,
            limit,
            f"must beat the {comparison.other.replace('_', ' ')} baseline"
            + (f" by {number(limit)}" if limit else ""),
            "Ship the baseline instead, or give the network more capacity, epochs or features (tune.trials).",
        )
        sure = comparison.low > 0
        if passed and not sure:
            yield _compared(
                comparison,
                "baseline_evidence",
                False,
                0.0,
                "could by chance alone be no better on these rows",
                "Collect more test rows, or improve the network, before you rely on the difference.",
                severity="warning",
            )


def _compared(
    found: Comparison,
    rule: str,
    passed: bool,
    limit: float,
    demand: str,
    advice: str,
    severity: Severity = "error",
) -> Check:
    title = TITLES.get(found.metric, found.metric)
    direction = "better" if found.gain >= 0 else "worse"
    return Check(
        rule=rule,
        subject=found.other,
        severity=severity,
        passed=passed,
        value=found.gain,
        limit=limit,
        baseline=found.theirs,
        rows=found.rows,
        message=f"{title} is {number(found.ours)} against {number(found.theirs)} of {found.other}: "
        f"{number(abs(found.gain), 3)} {direction} (interval of the gain {number(found.low, 3)} to "
        f"{number(found.high, 3)}, {_chance(found.p_value)}, {found.test}, {found.rows:,} rows); "
        f"it {demand}.",
        advice="" if passed else advice,
    )


def _chance(p_value: float) -> str:
    return "p < 0.001" if p_value < 0.001 else f"p = {number(p_value, 2)}"


def _champion(record: EvaluationRecord, rules: ModelRules) -> Iterator[Check]:
    champion = record.champion
    if champion.state == "none":
        allowed = rules.first_model == "allow"
        yield Check(
            rule="first_model",
            subject="network",
            severity="error",
            passed=allowed,
            rows=record.rows,
            message="There is no champion to compare with; "
            + (
                "first_model: allow lets the first model pass."
                if allowed
                else "first_model: refuse stops it."
            ),
            advice=""
            if allowed
            else "Look at the evaluation page, then set evaluate.rules.first_model: allow.",
        )
        return
    found = next((c for c in record.comparisons if c.role == "champion"), None)
    if champion.state == "incomparable" or found is None:
        allowed = rules.first_model == "allow"
        yield Check(
            rule="champion",
            subject=champion.model[:12] or "champion",
            severity="warning" if allowed else "error",
            passed=False,
            rows=record.rows,
            message=f"{champion.message} The network is treated as a first model "
            f"(first_model: {rules.first_model}).",
            advice="Compare the two by hand before the rollout; the canary compares them on live requests.",
        )
        return
    margin = rules.champion_margin
    demand = (
        f"must be shown to be at most {number(margin)} worse" if margin else "must be shown to be no worse"
    )
    yield _compared(
        found,
        "champion",
        # An equal model (the same predictions) has an interval of no width at zero, and passes.
        found.low >= -margin,
        -margin,
        demand,
        "Set evaluate.rules.champion_margin to a difference that you can live with, or improve the model.",
    )


def _slices(record: EvaluationRecord, rules: ModelRules) -> Iterator[Check]:
    if (limit := rules.slice_drop) is None:
        return
    overall = record.network.metric(record.metric)
    for part in record.slices:
        if part.drop is None or part.score is None:
            yield Check(
                rule="slice_drop",
                subject=f"{part.column} = {part.value}",
                severity="info",
                passed=False,
                limit=limit,
                rows=part.rows,
                message=f"{part.column} = {part.value} is not judged: {part.note}.",
                advice="Collect more rows of it, or lower min_rows of that slice.",
            )
            continue
        yield _slice(part, part.score, part.drop, limit, overall.value if overall else None)


def _slice(part: SliceScore, score: float, drop: float, limit: float, overall: float | None) -> Check:
    over = drop > limit
    direction = "worse" if drop >= 0 else "better"
    doubt = " By chance alone it could be as good as overall." if over and not part.significant else ""
    return Check(
        rule="slice_drop",
        subject=f"{part.column} = {part.value}",
        severity="error" if part.significant or not over else "warning",
        passed=not over,
        value=drop,
        limit=limit,
        baseline=overall,
        rows=part.rows,
        message=f"On {part.rows:,} rows with {part.column} = {part.value}, "
        f"{TITLES.get(part.metric, part.metric)} is {number(score)}{_ends(part.low, part.high)}: "
        f"{number(abs(drop), 3)} {direction} than overall ({number(overall)}); "
        f"at most {number(limit)} worse is allowed.{doubt}",
        advice="Look for what is special about these rows; give the model a feature that tells them apart."
        if over
        else "",
    )


def _fairness(record: EvaluationRecord, rules: ModelRules) -> Iterator[Check]:
    if (limit := rules.fairness_gap) is None:
        return
    for found in record.fairness:
        if not found.gaps:
            yield Check(
                rule="fairness_gap",
                subject=found.column,
                severity="error",
                passed=False,
                limit=limit,
                rows=record.rows,
                message=f"No two groups of {found.column} have the rows that comparing them takes.",
                advice="Collect more rows of each group, or take the column out of evaluate.fairness.",
            )
        for gap in found.gaps:
            yield _gap(found.column, gap, limit)


def _gap(column: str, gap: Gap, limit: float) -> Check:
    over = gap.gap > limit
    real = gap.low > 0
    doubt = " By chance alone it could be zero." if over and not real else ""
    rate = TITLES.get(gap.rate, gap.rate.replace("_", " ") + " rate")
    rate = "mean error" if gap.rate == "mean_error" else rate
    shown = percent if gap.rate in ("selection", "true_positive", "false_positive") else number
    return Check(
        rule="fairness_gap",
        subject=f"{column}: {gap.rate}",
        severity="error" if real or not over else "warning",
        passed=not over,
        value=gap.gap,
        limit=limit,
        rows=gap.rows,
        message=f"The {rate} differs by {shown(gap.gap)} ({shown(gap.low)} to {shown(gap.high)}) between "
        f"{column} = {gap.highest} and {column} = {gap.lowest}; at most {shown(limit)} is allowed.{doubt}",
        advice="Compare the groups' base rates and features; balance the training rows or drop proxies."
        if over
        else "",
    )
