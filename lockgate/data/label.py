"""The label: which rows have one, which classes there are, and the numbers that stand for it."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lockgate.data.columns import category_expression
from lockgate.errors import DataError
from lockgate.project import Project

TRUE_TEXTS = ("true", "1")


def labelled(frame: pl.DataFrame, project: Project) -> pl.DataFrame:
    """The rows that have a label, in their order.

    A label is missing when it is null, an empty text, NaN, or in regression infinite.
    """
    return frame.filter(has_label(frame.schema[project.data.label], project))


def has_label(dtype: pl.DataType, project: Project) -> pl.Expr:
    """Whether a row has a label, for a label column of this type."""
    name = project.data.label
    if project.task == "regression":
        return pl.col(name).cast(pl.Float64, strict=False).is_finite().fill_null(False)
    return category_expression(name, dtype).is_not_null()


def classes_of(frame: pl.DataFrame, project: Project) -> tuple[str, ...]:
    """The label's classes as category texts: (negative, positive), or the sorted ones of a multiclass task.

    A regression has none. Where a binary task has several negative values, their name is "not <positive>".

    Raises:
        DataError: a binary label is neither boolean nor 0/1, and `data.positive` is not set.
    """
    if project.task == "regression":
        return ()
    name = project.data.label
    texts = (
        frame.select(category_expression(name, frame.schema[name]).drop_nulls().unique().sort())
        .to_series()
        .to_list()
    )
    if project.task == "multiclass":
        return tuple(texts)
    positive = positive_text(project, texts)
    others = [text for text in texts if text != positive]
    missing = {"true": "false", "1": "0"}.get(positive, f"not {positive}")
    return (others[0] if len(others) == 1 else missing, positive)


def positive_text(project: Project, texts: list[str]) -> str:
    """The category text of the positive class of a binary task, given the label's values.

    Raises:
        DataError: `data.positive` is not set and the values are neither booleans nor 0 and 1.
    """
    positive = project.data.positive
    if isinstance(positive, bool):
        return "true" if positive else "false"
    if positive is not None:
        whole = isinstance(positive, float) and positive.is_integer()
        return str(int(positive)) if whole else str(positive)
    for true, false in (("true", "false"), ("1", "0")):
        if set(texts) <= {true, false}:
            return true
    shown = ", ".join(repr(text) for text in texts[:5])
    raise DataError(
        f"The label {project.data.label!r} holds {shown}{', …' if len(texts) > 5 else ''}.",
        "Without data.positive, a binary label is true or false, or 1 or 0.",
        "Set data.positive in project.yaml to the value that counts as positive.",
    )


def encode_label(
    frame: pl.DataFrame, project: Project, classes: tuple[str, ...] | None = None
) -> NDArray[np.generic]:
    """The labels as numbers, one a row.

    float32 [n] of 0 and 1 (binary), int32 [n] of places in `classes` (multiclass), float32 [n] (regression).

    Args:
        frame: rows that all have a label (see `labelled`).
        project: says which column is the label, and what the task is.
        classes: those that the model knows; by default those of the frame.

    Raises:
        DataError: a label is not among `classes`, is missing, or is not a number in regression.
    """
    name = project.data.label
    if project.task == "regression":
        return _numbers(frame, name)
    known = classes_of(frame, project) if classes is None else classes
    texts = frame.select(category_expression(name, frame.schema[name])).to_series()
    if texts.null_count():
        raise DataError(
            f"{texts.null_count():,} rows have no label {name!r}.", "", "Leave them out with `labelled`."
        )
    if project.task == "binary":
        return (texts == known[1]).to_numpy().astype(np.float32)
    places = texts.replace_strict(list(known), range(len(known)), default=-1, return_dtype=pl.Int32)
    if (places < 0).any():
        unknown = texts.filter(places < 0)
        raise DataError(
            f"{len(unknown):,} rows have the label {unknown[0]!r}, or another unknown one.",
            f"It knows {', '.join(known)}.",
            "Train on data that holds every class.",
        )
    return places.to_numpy()


def _numbers(frame: pl.DataFrame, name: str) -> NDArray[np.generic]:
    column = frame.get_column(name)
    if not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
        raise DataError(
            f"The label {name!r} of a regression holds {column.dtype}.",
            "It must hold numbers.",
            "Mend the source, or set task in project.yaml.",
        )
    values = column.cast(pl.Float64).to_numpy()
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise DataError(f"{bad:,} rows have no label {name!r}.", "", "Leave them out with `labelled`.")
    return values.astype(np.float32)
