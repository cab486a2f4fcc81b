"""What one pass over the data learns of each column.

It is what the data gate judges by, and it gives the transform its constants.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from lockgate.records import Record, Split


class NumberProfile(Record):
    """A numeric column of one split.

    `mean`, `std` (population), `min`, `max` and `quantiles` are over the finite values; `quantiles` are
    the 1,001 values at k/1000, so [0] is the minimum, [500] the median and [1000] the maximum
    (empty when there is no finite value). `dtype` is the type of the raw column, as polars prints it.
    """

    kind: Literal["number"] = "number"
    rows: int
    missing: int
    infinite: int
    zeros: int
    mean: float
    std: float
    min: float
    max: float
    quantiles: tuple[float, ...]
    is_integer: bool
    dtype: str = "Float64"


class CategoryProfile(Record):
    """A column of categories of one split (strings, booleans, or numbers that the project calls categories).

    `values` are (value, count), the most frequent first, ties by value; the first `max_values` of them.
    Booleans are "true" and "false", whole numbers their decimal digits. A missing one is null or "".

    Of more than 200,000 distinct values, counts may be too low by up to `error` rows, `distinct` is an
    estimate, and `sample` holds 4,096 of the values with their exact counts: those with the smallest
    hashes, so that the samples of two splits hold the same values where both have them. `sample_hash` is
    the largest hash in it, as a share of all hashes.
    """

    kind: Literal["category"] = "category"
    rows: int
    missing: int
    distinct: int
    values: tuple[tuple[str, int], ...]
    mean_length: float
    error: int = 0
    sample: tuple[tuple[str, int], ...] = ()
    sample_hash: float = 1.0


class DateProfile(Record):
    """A column of dates or times of one split, UTC."""

    kind: Literal["date"] = "date"
    rows: int
    missing: int
    distinct: int
    min: datetime | None
    max: datetime | None


ColumnProfile = Annotated[NumberProfile | CategoryProfile | DateProfile, Field(discriminator="kind")]


class Profile(Record):
    """The profiles of every column, by split; the label and unavailable columns included."""

    snapshot: str
    splits: Mapping[Split, Mapping[str, ColumnProfile]]

    def rows(self, split: Split) -> int:
        """How many rows the split has; 0 when there is no such split."""
        columns = self.splits.get(split, {})
        return next(iter(columns.values())).rows if columns else 0
