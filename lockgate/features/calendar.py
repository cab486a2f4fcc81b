"""Parts of a date by integer arithmetic on seconds since 1970, so that they can live inside the model.

Days to year, month and day: `civil_from_days` of Howard Hinnant, "chrono-Compatible Low-Level Date
Algorithms" (public domain); proleptic Gregorian calendar, UTC.
"""

from typing import Any

from keras import ops

from lockgate.project import DatePart


def part_of(seconds: Any, part: DatePart) -> Any:
    """A part of each date, counted from 0: January, the first of a month, Monday and midnight are 0.

    Args:
        seconds: int64 [n] seconds since 1970-01-01 UTC.
        part: which part; `day_of_year` is 0 to 365.
    """
    days = ops.floor_divide(seconds, 86_400)
    of_day = seconds - days * 86_400
    match part:
        case "hour":
            return ops.floor_divide(of_day, 3_600)
        case "minute":
            return ops.floor_divide(of_day, 60) - ops.floor_divide(of_day, 3_600) * 60
        case "weekday":
            return ops.mod(days + 3, 7)  # 1970-01-01 was a Thursday
        case _:
            return _civil(days)[part]


def _civil(days: Any) -> dict[str, Any]:
    shifted = days + 719_468  # days since 0000-03-01
    era = ops.floor_divide(shifted, 146_097)
    of_era = shifted - era * 146_097
    leaps = _div(of_era, 1_460) - _div(of_era, 36_524) + _div(of_era, 146_096)
    year_of_era = _div(of_era - leaps, 365)
    of_year = of_era - (365 * year_of_era + _div(year_of_era, 4) - _div(year_of_era, 100))  # from 1 March
    march_month = _div(5 * of_year + 2, 153)
    day = of_year - _div(153 * march_month + 2, 5)
    is_early = march_month >= 10  # January and February end the year that began in March
    month = ops.where(is_early, march_month - 10, march_month + 2)
    year = year_of_era + 400 * era + ops.cast(is_early, "int64")
    is_leap = ops.logical_and(
        ops.equal(ops.mod(year, 4), 0),
        ops.logical_or(ops.not_equal(ops.mod(year, 100), 0), ops.equal(ops.mod(year, 400), 0)),
    )
    of_january = ops.where(is_early, of_year - 306, of_year + 59 + ops.cast(is_leap, "int64"))
    return {"month": month, "day": day, "day_of_year": of_january}


def _div(value: Any, by: int) -> Any:
    return ops.floor_divide(value, by)
