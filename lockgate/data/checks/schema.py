"""What TensorFlow Data Validation finds against the schema, as checks."""

from collections.abc import Iterator, Mapping
from typing import Any

from lockgate.data.checks.rules import check
from lockgate.records import Check, Severity, Split

RULE_OF: Mapping[str, tuple[str, ...]] = {
    "schema_column": ("SCHEMA_MISSING_COLUMN", "FEATURE_TYPE_NOT_PRESENT"),
    "schema_new_column": ("SCHEMA_NEW_COLUMN",),
    "schema_presence": (
        *("FEATURE_TYPE_LOW_FRACTION_PRESENT", "FEATURE_TYPE_LOW_NUMBER_PRESENT"),
        *("FEATURE_TYPE_LOW_NUMBER_VALUES", "INVALID_FEATURE_SHAPE"),
    ),
    "schema_domain": ("ENUM_TYPE_UNEXPECTED_STRING_VALUES", "BOOL_TYPE_UNEXPECTED_STRING"),
    "schema_range": (
        *("BOOL_TYPE_BIG_INT", "BOOL_TYPE_SMALL_INT", "BOOL_TYPE_UNEXPECTED_FLOAT"),
        *("FLOAT_TYPE_BIG_FLOAT", "FLOAT_TYPE_SMALL_FLOAT", "FLOAT_TYPE_HAS_INF", "FLOAT_TYPE_HAS_NAN"),
        *("INT_TYPE_BIG_INT", "INT_TYPE_SMALL_INT"),
    ),
    "schema_type": (
        *("UNKNOWN_TYPE", "UNEXPECTED_DATA_TYPE"),
        *("ENUM_TYPE_BYTES_NOT_STRING", "ENUM_TYPE_INT_NOT_STRING", "ENUM_TYPE_FLOAT_NOT_STRING"),
        *(
            "INT_TYPE_INT_EXPECTED",
            "INT_TYPE_STRING_EXPECTED",
            "INT_TYPE_NOT_INT_STRING",
            "INT_TYPE_NOT_STRING",
        ),
        *("FLOAT_TYPE_NOT_FLOAT", "FLOAT_TYPE_STRING_NOT_FLOAT", "FLOAT_TYPE_NON_STRING"),
        *("STRING_TYPE_NOW_FLOAT", "STRING_TYPE_NOW_INT"),
        *("BOOL_TYPE_BYTES_NOT_INT", "BOOL_TYPE_BYTES_NOT_STRING", "BOOL_TYPE_FLOAT_NOT_INT"),
        *("BOOL_TYPE_FLOAT_NOT_STRING", "BOOL_TYPE_INT_NOT_STRING", "BOOL_TYPE_STRING_NOT_INT"),
    ),
}
RULES_BY_TYPE = {kind: rule for rule, kinds in RULE_OF.items() for kind in kinds}
ADVICE = (
    "If the change is meant, run `lockgate schema accept`, look at the difference and commit it; "
    "if not, mend the source."
)


def schema_checks(found: Mapping[Split, Any], reviewed: bool, columns: int) -> Iterator[Check]:
    """One check for each anomaly; one that passed for each split without any.

    Anomalies of `live`, from which no model is built, and against a schema that nobody has reviewed are
    one level milder: warnings where they would be errors, notes where they would be warnings.

    Args:
        found: the `Anomalies` of each split.
        reviewed: whether a person has reviewed the schema, or it was inferred from this very data.
        columns: how many columns the schema was held against.
    """
    from tensorflow_metadata.proto.v0.anomalies_pb2 import AnomalyInfo

    yield check(
        "schema_reviewed",
        "schema",
        reviewed,
        "The schema is the reviewed one."
        if reviewed
        else "There is no reviewed schema; one was inferred from train.",
        advice="Run `lockgate schema accept`, look at schema.pbtxt and commit it.",
    )
    for split, anomalies in found.items():
        for name, info in sorted(anomalies.anomaly_info.items()):
            kinds = {AnomalyInfo.Type.Name(reason.type) for reason in info.reason}
            for reason in info.reason:
                if reason.type == AnomalyInfo.INVALID_FEATURE_SHAPE and len(kinds) > 1:
                    continue  # it only says once more that values are missing
                rule = RULES_BY_TYPE.get(AnomalyInfo.Type.Name(reason.type), "schema_other")
                yield _failed(rule, name, split, reason, softly=split == "live" or not reviewed)
        if anomalies.data_missing or anomalies.dataset_anomaly_info.reason:
            reasons = [r.description for r in anomalies.dataset_anomaly_info.reason]
            yield check(
                "schema_other", split, False, f"{split}: {'; '.join(reasons) or 'no data'}.", advice=ADVICE
            )
        elif not anomalies.anomaly_info:
            yield check(
                "schema_type", split, True, f"{split}: all {columns:,} columns are as the schema says."
            )


def _failed(rule: str, name: str, split: Split, reason: Any, softly: bool) -> Check:
    description = " ".join(reason.description.split()).rstrip(".") or reason.short_description.rstrip(".")
    failed = check(rule, f"{name} in {split}", False, f"{name} in {split}: {description}.", advice=ADVICE)
    softened: Severity = "warning" if failed.severity == "error" else "info"
    return failed.model_copy(update={"severity": softened}) if softly else failed
