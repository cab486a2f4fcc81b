"""Rows in the one form that Lockgate keeps them in, whatever they were read from."""

import polars as pl

from lockgate.data.columns import DTYPES
from lockgate.errors import DataError

DATE_FORMATS = (
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
    "%Y/%m/%d",
)
"""How a date in text may be written; the first two carry an offset and are turned into UTC."""


def canonical(frame: pl.DataFrame, dates: frozenset[str], first_row: int, where: str) -> pl.DataFrame:
    """The same rows in canonical types: text, booleans, integers, floats, dates, times in UTC without a zone.

    Categoricals become text, decimals floats, NaN null, and text in a column of `dates` becomes a time.

    Args:
        frame: rows as they were read.
        dates: columns whose text is parsed.
        first_row: how many rows came before, to name a row in errors.
        where: names the source in errors.

    Raises:
        DataError: a column holds lists or the like, or a date cannot be parsed.
    """
    columns = [_canonical(frame.get_column(name), dates, first_row, where) for name in frame.columns]
    return pl.DataFrame(columns)


def _canonical(series: pl.Series, dates: frozenset[str], first_row: int, where: str) -> pl.Series:
    dtype = series.dtype
    if isinstance(dtype, (pl.Categorical, pl.Enum)) or dtype == pl.Null:
        series = series.cast(pl.String)
    elif isinstance(dtype, pl.Decimal):
        series = series.cast(pl.Float64)
    elif isinstance(dtype, pl.Datetime):
        utc = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if dtype.time_zone else series
        series = utc.dt.cast_time_unit("us")
    elif str(dtype) not in DTYPES:
        raise DataError(
            f"Column {series.name!r} of {where} holds {dtype}.",
            "Columns hold text, booleans, numbers, dates or times.",
            "Turn it into one of these, or leave it out, in the source.",
        )
    if series.dtype.is_float():
        series = series.fill_nan(None)
    if series.name in dates and series.dtype == pl.String:
        series = _parsed(series, first_row, where)
    return series


def _parsed(series: pl.Series, first_row: int, where: str) -> pl.Series:
    column = pl.col(series.name)
    zoned = [
        column.str.to_datetime(f, time_unit="us", time_zone="UTC", strict=False).dt.replace_time_zone(None)
        for f in DATE_FORMATS[:2]
    ]
    plain = [column.str.to_datetime(f, time_unit="us", strict=False) for f in DATE_FORMATS[2:]]
    result = series.to_frame().select(pl.coalesce(*plain, *zoned)).to_series()
    failed = (result.is_null() & series.is_not_null()).arg_true()
    if len(failed):
        place = int(failed[0])
        raise DataError(
            f"Column {series.name!r} of {where}, row {first_row + place + 1:,} (the header not counted): "
            f"{series[place]!r} is not a date.",
            "Dates look like 2013-01-31, 2013-01-31 05:15:00 or 2013-01-31T05:15:00Z.",
            "Mend that value in the source, or take the column out of data.dates.",
        )
    return result
