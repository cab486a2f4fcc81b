"""Which split each row belongs to: by its time, or by a hash of its content."""

from datetime import UTC, datetime
from typing import get_args

import numpy as np
import polars as pl

from lockgate.data.rowhash import row_hashes, unit_interval
from lockgate.errors import DataError
from lockgate.project import Project, RandomSplit, TimeSplit
from lockgate.records import Split

SPLIT_COLUMN = "\0split"


def assigned(frame: pl.DataFrame, project: Project) -> pl.Series:
    """The split of each row, as text; null for rows outside every span and for those without a time.

    Raises:
        DataError: the time column holds no dates.
    """
    if isinstance(project.split, TimeSplit):
        return _by_time(frame, project.split, str(project.data.time))
    return _by_hash(frame, project.split)


def naive_utc(moment: datetime) -> datetime:
    """The moment in UTC without a zone; one without a zone is taken to be UTC."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def check_time(frame: pl.DataFrame, name: str) -> None:
    """Checks that the time column holds dates or times.

    Raises:
        DataError: it holds something else.
    """
    dtype = frame.schema[name]
    if not dtype.is_temporal():
        raise DataError(
            f"The time column {name!r} holds {dtype}.",
            "data.time must name a column of dates or times.",
            "Name it in data.dates as well if it is text, or make it a date in the source.",
        )


def _by_time(frame: pl.DataFrame, split: TimeSplit, column: str) -> pl.Series:
    check_time(frame, column)
    time = pl.col(column).cast(pl.Datetime("us"))
    choice = pl.lit(None, pl.String)
    for name, (start, end) in split.spans():
        inside = (time >= naive_utc(start)) & (time < naive_utc(end))
        choice = pl.when(inside).then(pl.lit(name)).otherwise(choice)
    return frame.select(choice.alias(SPLIT_COLUMN)).to_series()


def _by_hash(frame: pl.DataFrame, split: RandomSplit) -> pl.Series:
    grouped = frame.select(split.group) if split.group else frame
    place = unit_interval(row_hashes(grouped, split.seed))
    bounds = np.cumsum([split.test, split.tune, split.live])
    names = np.array(["test", "tune", "live", "train"])
    return pl.Series(SPLIT_COLUMN, names[np.searchsorted(bounds, place, side="right")])


def empty_splits(rows: dict[str, int]) -> list[Split]:
    """The splits that the project needs, but that have no rows. `live` may be empty: its rows come later."""
    return [name for name in get_args(Split) if name != "live" and not rows.get(name)]


def no_rows(
    project: Project, split: Split, total: int, seen: tuple[datetime | None, datetime | None]
) -> DataError:
    """What to tell when a split has no rows of `total`, whose times lie between `seen`."""
    if isinstance(project.split, TimeSplit):
        start, end = dict(project.split.spans())[split]
        return DataError(
            f"No row of the {total:,} is in split.{split}, from {start} to {end}; "
            f"their {project.data.time!r} runs from {seen[0]} to {seen[1]}.",
            "The splits train, tune and test each need rows.",
            f"Change split.{split} in project.yaml, or fetch more data.",
        )
    return DataError(
        f"No row of the {total:,} fell into the split {split}.",
        "The splits train, tune and test each need rows.",
        f"Give split.{split} a larger share in project.yaml, or fetch more data.",
    )
