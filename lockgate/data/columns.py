"""What a raw column is to the model (number, category or date), and its values in one canonical form."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Literal, get_args

import polars as pl

from lockgate.errors import DataError
from lockgate.project import DatePart, Project

Kind = Literal["number", "category", "date"]

DTYPES: Mapping[str, pl.DataType] = {
    str(dtype): dtype
    for dtype in (
        pl.String(),
        pl.Boolean(),
        *(pl.Int8(), pl.Int16(), pl.Int32(), pl.Int64()),
        *(pl.UInt8(), pl.UInt16(), pl.UInt32(), pl.UInt64()),
        *(pl.Float32(), pl.Float64()),
        pl.Date(),
        pl.Datetime("us"),
    )
}
"""The types that a column of a snapshot can have, by the name that a `Column` record gives them."""

LARGEST_WHOLE = 2**53


def kind_of_type(dtype: pl.DataType) -> Kind:
    """What a column of this type is when the project does not say otherwise."""
    if dtype.is_temporal():
        return "date"
    return "number" if dtype.is_numeric() else "category"


def kind_of(project: Project, name: str, dtype: pl.DataType) -> Kind:
    """What a column is: as the project says, else by its type; the label of a classifier is a category.

    Raises:
        DataError: the project calls a column of text a number or a date, or a number a date.
    """
    natural = kind_of_type(dtype)
    if name == project.data.label:
        wanted: Kind = "number" if project.task == "regression" else "category"
    else:
        feature = project.features.get(name)
        wanted = (feature.kind if feature else None) or natural
    if wanted not in ("category", natural) and not (wanted == "number" and dtype == pl.Boolean):
        raise DataError(
            f"Column {name!r} is to be a {wanted}, but it holds {dtype}.",
            "Numbers and booleans can be numbers, dates and times can be dates; anything can be a category.",
            f"Mend the source, or features.{name}.kind in project.yaml.",
        )
    return wanted


def number_expression(name: str) -> pl.Expr:
    """The column as 64-bit floats; NaN becomes null, infinite values stay."""
    return pl.col(name).cast(pl.Float64).fill_nan(None)


def category_expression(name: str, dtype: pl.DataType) -> pl.Expr:
    """The column as categories: text as it is, true and false, whole numbers by their decimal digits.

    An empty text and NaN are missing (null), as they are to the served model; dates become ISO 8601.
    """
    column = pl.col(name)
    if dtype == pl.String:
        return pl.when(column != "").then(column)
    if dtype.is_float():
        whole = (column == column.floor()) & (column.abs() <= LARGEST_WHOLE)
        digits = column.cast(pl.Int64, strict=False).cast(pl.String)
        return pl.when(whole).then(digits).otherwise(column.fill_nan(None).cast(pl.String))
    if dtype.is_temporal():
        return column.dt.to_string("iso:strict")
    return column.cast(pl.String)


def check_columns(project: Project, schema: Mapping[str, pl.DataType]) -> None:
    """Checks that the columns that project.yaml names are there, and hold what it says.

    Raises:
        DataError: a column is missing (with the nearest name that is there), or has the wrong type.
    """
    for use, name in _named(project):
        if name not in schema:
            near = difflib.get_close_matches(name, list(schema), n=1, cutoff=0.6)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            shown = ", ".join(list(schema)[:40])
            raise DataError(
                f"The data has no column {name!r}, which project.yaml names in {use}.{hint}",
                f"It has {shown}{', …' if len(schema) > 40 else ''}.",
                f"Rename it in the source, or in {use} of project.yaml.",
            )
        if use.startswith(("features", "data.label")):
            kind_of(project, name, schema[name])


def _named(project: Project) -> Iterator[tuple[str, str]]:
    """(where in project.yaml, column) of every column that it names and that must be there."""
    data = project.data
    yield "data.label", data.label
    if data.time:
        yield "data.time", data.time
    for use, names in (("data.keys", data.keys), ("data.dates", data.dates), ("features", project.features)):
        for name in names:
            yield use, name
    for cross in project.crosses:
        for name in cross.of:
            column, _, part = name.rpartition(".")
            yield "crosses", column if part in get_args(DatePart) else name
    if (group := getattr(project.split, "group", None)) is not None:
        yield "split.group", group
    for wanted in project.evaluate.slices:
        yield "evaluate.slices", wanted.column
    for name in project.evaluate.fairness:
        yield "evaluate.fairness", name
