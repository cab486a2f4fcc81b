"""Reading a source, whatever it is, as canonical frames that come one after the other."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from lockgate import gcs
from lockgate.data import csvfile, userfunction
from lockgate.data.canonical import canonical
from lockgate.data.csvfile import check_names
from lockgate.errors import DataError
from lockgate.project import Data

BATCH_ROWS = 131_072
ENDINGS = (".parquet", ".csv", ".csv.gz")
CHECK_SOURCE = "Check data.source in project.yaml."


def read_source(data: Data, code: Mapping[str, str], scratch: Path) -> Iterator[pl.DataFrame]:
    """The rows of `data.source` in order, in pieces of about 131,072, all of the same columns and types.

    Args:
        data: names the source, its dates and its texts for missing values.
        code: the text of the user's Python file, by its name.
        scratch: a folder to fetch `gs://` objects into.

    Raises:
        DataError: the source is missing, empty, damaged or ragged; see tests/unit/test_read.py.
        StorageError: a bucket cannot be reached.
    """
    dates = frozenset((*data.dates, data.time)) if data.time else frozenset(data.dates)
    first: pl.Schema | None = None
    for where, seen, frame in _pieces(data, code, scratch):
        piece = canonical(frame, dates, seen, where)
        first = first or piece.schema
        yield _conformed(piece, first, where)


def is_function(source: str) -> bool:
    """Whether a source is `file.py:function`."""
    return ".py:" in source


def files_of(path: Path) -> list[Path]:
    """The files of a source: the path itself, or all CSV or Parquet files in a folder, by name.

    Raises:
        DataError: nothing is there, nothing that can be read, or both CSV and Parquet.
    """
    if path.is_file():
        found = [path]
    elif path.is_dir():
        found = sorted(p for p in path.rglob("*") if p.name.endswith(ENDINGS) and not p.name.startswith("."))
    else:
        raise DataError(
            f"{path} does not exist.",
            "A source is a file, a folder, gs://… or file.py:function.",
            CHECK_SOURCE,
        )
    kinds = {"parquet" if p.suffix == ".parquet" else "csv" for p in found}
    if not found or len(kinds) > 1 or not found[0].name.endswith(ENDINGS):
        what = "both CSV and Parquet files" if len(kinds) > 1 else "no CSV or Parquet file"
        raise DataError(
            f"{path} holds {what}.", f"Files of one kind are read: {', '.join(ENDINGS)}.", CHECK_SOURCE
        )
    return found


def _pieces(data: Data, code: Mapping[str, str], scratch: Path) -> Iterator[tuple[str, int, pl.DataFrame]]:
    """(where, rows before, frame) of every piece."""
    if is_function(data.source):
        seen = 0
        for frame in userfunction.batches(data.source, code, BATCH_ROWS):
            yield data.source, seen, frame
            seen += frame.height
        return
    remote = data.source.startswith("gs://")
    files = sorted(gcs.download(data.source, scratch)) if remote else files_of(Path(data.source))
    is_parquet = files_of(files[0])[0].suffix == ".parquet"
    types = _unified({file: _schema(file, is_parquet, data) for file in files})
    for file in files:
        seen = 0
        for frame in _read(file, is_parquet, data, types):
            yield str(file), seen, frame
            seen += frame.height


def _schema(file: Path, is_parquet: bool, data: Data) -> dict[str, pl.DataType]:
    if file.stat().st_size == 0:
        raise DataError(f"{file} is empty: it has 0 bytes.", "", "Check the source.")
    if not is_parquet:
        csvfile.check(file)
        texts = {data.time, *data.dates}
        return {
            n: pl.String() if n in texts else t for n, t in csvfile.schema(file, data.null_values).items()
        }
    try:
        schema = dict(pl.scan_parquet(file, glob=False).collect_schema())
    except pl.exceptions.DuplicateError:
        import pyarrow.parquet as pq

        check_names(pq.ParquetFile(file).schema_arrow.names, str(file))
        raise
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _damaged(file, error) from None
    check_names(list(schema), str(file))
    return schema


def _read(file: Path, is_parquet: bool, data: Data, types: dict[str, pl.DataType]) -> Iterator[pl.DataFrame]:
    try:
        if is_parquet:
            frames: Iterator[pl.DataFrame] = iter(
                pl.scan_parquet(file, glob=False).collect_batches(chunk_size=BATCH_ROWS)
            )
        else:
            frames = csvfile.batches(file, data.null_values, types, BATCH_ROWS)
        for frame in frames:
            yield frame.select(pl.col(name).cast(dtype) for name, dtype in types.items())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _damaged(file, error) from None


def _damaged(file: Path, error: Exception) -> DataError:
    kind = "Parquet" if file.suffix == ".parquet" else "CSV"
    reason = str(error).splitlines()[0].rstrip(".")
    return DataError(
        f"{file} cannot be read as {kind}: {reason}.", "The file may be truncated.", "Fetch it again."
    )


def _unified(schemas: dict[Path, dict[str, pl.DataType]]) -> dict[str, pl.DataType]:
    """The types that hold the columns of all files: wider numbers where files differ."""
    (first, types), *others = schemas.items()
    for file, schema in others:
        for name in [*types.keys() - schema.keys(), *schema.keys() - types.keys()]:
            has, lacks = (first, file) if name in types else (file, first)
            raise DataError(
                f"{has} has a column {name!r}, {lacks} has not.",
                "All files of a source need the same columns.",
                "Mend the files.",
            )
        for name in types:
            types[name] = _wider(name, types[name], schema[name], first, file)
    return types


def _wider(name: str, one: pl.DataType, other: pl.DataType, first: Path, file: Path) -> pl.DataType:
    if other in (one, pl.Null()):
        return one
    if one == pl.Null:
        return other
    if one.is_numeric() and other.is_numeric():
        return pl.Int64() if one.is_integer() and other.is_integer() else pl.Float64()
    if file.suffix != ".parquet":
        return pl.String()
    raise DataError(
        f"Column {name!r} holds {one} in {first}, but {other} in {file}.",
        "A column has one type in all files.",
        "Mend the files.",
    )


def _conformed(piece: pl.DataFrame, schema: pl.Schema, where: str) -> pl.DataFrame:
    """The piece with the columns and types of the first one."""
    if piece.schema == schema:
        return piece
    for name in [
        *(n for n in schema if n not in piece.columns),
        *(n for n in piece.columns if n not in schema),
    ]:
        raise DataError(
            f"Only some pieces of {where} have a column {name!r}.",
            "All pieces need the same columns.",
            "Mend the function.",
        )
    try:
        return piece.select(pl.col(name).cast(dtype) for name, dtype in schema.items())
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"Pieces of {where} differ in a column's type: {reason}.",
            "A column has one type in all pieces.",
            "Cast it in the function.",
        ) from None
