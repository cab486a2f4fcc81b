"""The serving gate: what was measured, against what is allowed."""

from lockgate.records import Check, Verdict
from lockgate.shipping.record import Parity, Refusals, ServingRecord

NAMES = {"v1": "V1", "v2": "V2"}


def judge(record: ServingRecord) -> Verdict:
    """The serving gate's verdict: parity and refusals by protocol, load time, latency, memory."""
    checks = [
        *(_parity(parity, record) for parity in record.parity),
        *(_labels(parity) for parity in record.parity if parity.labels_unequal),
        *(_refusals(refusals) for refusals in record.refusals),
        _budget(
            "load_time",
            "start-up",
            record.load_seconds,
            record.budgets.load_seconds,
            f"A fresh process answered {record.load_seconds:.1f} s after its start",
            "s",
            "Make the model smaller (model.members, vocabularies), or raise serving.load_seconds.",
        ),
        _budget(
            "latency",
            "one-row requests",
            record.latency_ms["p99"],
            record.budgets.latency_ms,
            f"99 of 100 one-row requests took at most {record.latency_ms['p99']:.1f} ms "
            f"(median {record.latency_ms['p50']:.1f} ms, {record.latency_requests} requests)",
            "ms",
            "Make the model smaller (model.hidden, model.members), or raise serving.latency_ms.",
        ),
        _budget(
            "memory",
            "the server's process",
            record.memory_mb,
            record.budgets.memory_mb,
            f"The server held {record.memory_mb:.0f} MB after all requests",
            "MB",
            "Make vocabularies and embeddings smaller, or raise serving.memory_mb.",
        ),
    ]
    return Verdict(gate="serving", checks=tuple(checks))


def _parity(parity: Parity, record: ServingRecord) -> Check:
    name = NAMES[parity.protocol]
    tolerance = f"{record.absolute_tolerance:.1g} + {record.relative_tolerance:.1g} of the value"
    if parity.unequal == 0:
        message = (
            f"{name}: all {parity.rows:,} rows ({parity.mutated:,} of them strange) had training's score; "
            f"the largest difference is {parity.largest:.2g}, allowed are {tolerance}."
        )
    else:
        message = (
            f"{name}: {parity.unequal:,} of {parity.rows:,} rows had another score than in training; the "
            f"largest difference is {parity.largest:.3g}, allowed are {tolerance}; row {parity.worst_row} "
            f"was served {parity.worst_served:.6g} where training gives {parity.worst_trained:.6g}."
        )
    if parity.unanswered:
        message += f" {parity.unanswered:,} rows were in batches that were refused ({parity.refusal})."
    return Check(
        rule="parity",
        subject=name,
        severity="error",
        passed=parity.unequal == 0,
        message=message,
        value=parity.largest,
        limit=record.absolute_tolerance,
        rows=parity.rows,
        advice="The exported model is not the one that was trained: export it again with "
        "`lockgate run --from train`, and look for random or time-dependent code in an own model function.",
    )


def _labels(parity: Parity) -> Check:
    return Check(
        rule="labels",
        subject=NAMES[parity.protocol],
        severity="error",
        passed=False,
        message=f"{NAMES[parity.protocol]}: {parity.labels_unequal:,} of {parity.rows:,} rows had a label or "
        "decision that their score and the threshold do not imply.",
        value=parity.labels_unequal,
        limit=0,
        rows=parity.rows,
        advice="Check classes in model.json and threshold in serving.json.",
    )


def _refusals(refusals: Refusals) -> Check:
    name = NAMES[refusals.protocol]
    message = (
        f"{name}: {refusals.refused} of {refusals.sent} malformed requests were refused with status 400 and "
        "the column's name"
    )
    return Check(
        rule="refusals",
        subject=name,
        severity="error",
        passed=not refusals.wrong and refusals.sent > 0,
        message=f"{message}; {'; '.join(refusals.wrong)}." if refusals.wrong else f"{message}.",
        value=refusals.refused,
        limit=refusals.sent,
        rows=refusals.sent,
        advice="A server that takes malformed rows predicts from what nobody meant.",
    )


def _budget(
    rule: str, subject: str, value: float, limit: float, sentence: str, unit: str, advice: str
) -> Check:
    return Check(
        rule=rule,
        subject=subject,
        severity="error",
        passed=value <= limit,
        message=f"{sentence}; allowed are {limit:g} {unit}.",
        value=value,
        limit=limit,
        advice=advice,
    )
