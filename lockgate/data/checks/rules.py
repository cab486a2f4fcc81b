"""The rules of the data gate, and how severe a failure is unless project.yaml says otherwise."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from lockgate.errors import ConfigError
from lockgate.records import Check, Severity, Split

JUDGED: tuple[Split, ...] = ("train", "tune", "test")
"""The splits that the gate judges; `live` is watched later, and only described here."""

RULES: Mapping[str, tuple[Severity, str]] = {
    # What makes a model wrong, or training impossible: error. What a person should look at: warning.
    "leakage": ("error", "no feature alone tells the label"),
    "leakage_unused": ("info", "columns that would leak the label are not features"),
    "label_missing": ("error", "most rows have a label"),
    "label_classes": ("error", "each split has rows of at least two classes, or labels that differ"),
    "label_unknown": ("error", "every class of tune and test occurs in train"),
    "label_balance": ("warning", "the rarest class is not too rare"),
    "all_missing": ("error", "every feature has values in every split"),
    "max_missing": ("error", "a feature has no more missing values than features.<name>.max_missing"),
    "missing": ("warning", "a feature has no more missing values than validation.limits.missing"),
    "infinite": ("error", "numbers are finite"),
    "range": ("error", "numbers lie within features.<name>.min and max"),
    "constant": ("info", "a feature has more than one value"),
    "many_categories": ("warning", "a category has rows enough to learn from"),
    "new_categories": ("warning", "tune and test hold few values that train does not"),
    "vanished_categories": ("warning", "values that are frequent in train occur in tune and test"),
    "skew": ("warning", "features are distributed in tune and test as in train"),
    "drift": ("warning", "features are distributed as in the last snapshot that passed"),
    "duplicates": ("warning", "few rows occur twice"),
    "overlap": ("error", "rows of tune and test do not occur in train"),
    "slices": ("warning", "each slice has rows enough to judge it"),
    "schema_type": ("error", "columns have the types that the schema names"),
    "schema_column": ("error", "the columns that the schema names are there"),
    "schema_new_column": ("warning", "all columns are in the schema"),
    "schema_presence": ("warning", "columns are filled as the schema demands"),
    "schema_domain": ("warning", "texts are among those that the schema lists"),
    "schema_range": ("error", "numbers lie in the ranges that the schema sets"),
    "schema_other": ("error", "nothing else differs from the schema"),
    "schema_reviewed": ("info", "a person has reviewed the schema"),
}


def check(rule: str, subject: str, passed: bool, message: str, **more: Any) -> Check:
    """A check with the rule's default severity; advice is kept only where it failed."""
    advice = more.pop("advice", "")
    return Check(
        rule=rule,
        subject=subject,
        severity=RULES[rule][0],
        passed=passed,
        message=message,
        advice="" if passed else advice,
        **more,
    )


def with_severity(
    checks: Iterable[Check], severity: Mapping[str, Severity | Literal["off"]]
) -> Iterator[Check]:
    """The checks with the severities that project.yaml sets; those of a rule that is off are left out."""
    for found in checks:
        wanted = severity.get(found.rule, found.severity)
        if wanted != "off":
            yield found if wanted == found.severity else found.model_copy(update={"severity": wanted})


def check_names(severity: Mapping[str, object]) -> None:
    """Checks that `validation.severity` names rules that there are.

    Raises:
        ConfigError: it names another one.
    """
    for name in severity:
        if name not in RULES:
            near = difflib.get_close_matches(name, RULES, n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ConfigError(
                f"validation.severity.{name} names no rule of the data gate.{hint}",
                f"The rules are {', '.join(RULES)}.",
                "Edit project.yaml.",
            )
