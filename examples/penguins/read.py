"""The penguins of Palmer Station, Antarctica."""

from importlib.metadata import files
from pathlib import Path

import polars as pl


def penguins() -> pl.DataFrame:
    """344 rows, one a penguin that was measured in 2007, 2008 or 2009."""
    path = next(Path(f.locate()) for f in files("palmerpenguins") or () if f.name == "penguins.csv")
    return pl.read_csv(path, null_values="NA")
