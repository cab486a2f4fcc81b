"""The serving check: the same rows down both paths, and load time, latency and memory against the budget."""

from typing import Any

from lockgate.records import Verdict
from lockgate.report import mini, numbers
from lockgate.report.document import Section, render
from lockgate.shipping.record import ServingRecord


def sections(record: ServingRecord, verdict: Verdict | None = None) -> list[Section]:
    """Parity and refusals by protocol, and each measure against its budget."""
    body = render(
        "serving.html",
        record=record,
        verdict=verdict,
        budgets=_budgets(record),
        unequal=sum(p.unequal for p in record.parity),
        refused=sum(r.refused for r in record.refusals),
        wrong=[(r.protocol, sentence) for r in record.refusals for sentence in r.wrong],
    )
    return [Section(id="serving", title="Serving check", body=body, group="Serving")]


def _budgets(record: ServingRecord) -> list[dict[str, Any]]:
    budgets = record.budgets
    pairs = [
        ("Load time", record.load_seconds, budgets.load_seconds, numbers.seconds),
        ("Latency, p99", record.latency_ms.get("p99"), budgets.latency_ms, _milliseconds),
        ("Memory", record.memory_mb, budgets.memory_mb, _megabytes),
    ]
    rows = []
    for name, value, limit, text in pairs:
        over = value is None or value > limit
        picture = mini.bar(
            value or 0.0, domain=(0.0, max(limit, value or 0.0)), colour="var(--c5)" if over else "var(--c3)",
            label=f"{name}: {text(value)} of {text(limit)}",
        )  # fmt: skip
        rows.append(
            {
                "name": name,
                "value": text(value),
                "limit": text(limit),
                "over": over,
                "picture": picture,
                "share": value / limit if value is not None else None,
            }
        )
    return rows


def _milliseconds(value: float | None) -> str:
    return f"{numbers.number(value, 3)} ms"


def _megabytes(value: float | None) -> str:
    return f"{numbers.count(value)} MB"
