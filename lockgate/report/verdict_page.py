"""The verdicts: which gates are open, and every check that they decided by, the failed ones first."""

from collections.abc import Sequence

from lockgate.records import Check, Verdict
from lockgate.report.document import Section, render

TITLES = {"data": "Data gate", "model": "Model gate", "serving": "Serving gate"}
_RANK = {"error": 0, "warning": 1, "info": 2}
_ERRORS, _WARNINGS = 25, 10


def sections(project_name: str, verdicts: Sequence[Verdict]) -> list[Section]:
    """A section for each gate, in the order given; none when no gate has decided yet."""
    return [section(project_name, verdict) for verdict in verdicts]


def section(project_name: str, verdict: Verdict, *, group: str = "Verdicts") -> Section:
    """What one gate decided: failed checks with their numbers and advice, passed ones folded.

    Of many failures the first are in the open, the errors before the warnings; notes are folded.
    """
    failed = sorted((c for c in verdict.checks if not c.passed), key=lambda c: _RANK[c.severity])
    shown = [*verdict.errors[:_ERRORS], *verdict.warnings[:_WARNINGS]]
    body = render(
        "verdict.html",
        project=project_name,
        verdict=verdict,
        passed=[c for c in verdict.checks if c.passed],
        failed=shown,
        more=[c for c in failed if c not in shown],
        notes=sum(c.severity == "info" for c in failed),
        tone=tone,
    )
    return Section(id=f"{verdict.gate}-gate", title=TITLES[verdict.gate], body=body, group=group)


def tone(check: Check) -> tuple[str, str]:
    """The colour class and the word for a check's state."""
    if check.passed:
        return "good", "passed"
    return {"error": ("bad", "error"), "warning": ("warn", "warning"), "info": ("plain", "note")}[
        check.severity
    ]
