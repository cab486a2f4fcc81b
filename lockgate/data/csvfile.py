"""CSV files: checked line by line before polars reads them, because polars fills short rows silently."""

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl

from lockgate.errors import DataError

SEPARATORS = ",;\t|"
CHUNK = 1 << 22
NEWLINE, QUOTE = ord("\n"), ord('"')


def opened(path: Path) -> IO[bytes]:
    """The file's bytes, unpacked where its name ends in .gz."""
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def check(path: Path) -> str:
    """Checks that a CSV file is UTF-8, with a header and as many fields in each row; returns its separator.

    Raises:
        DataError: the file is empty, has an empty or repeated column name, bytes that are not UTF-8, or a
            row with more or fewer fields than the header; with the line's number.
    """
    _check_encoding(path)
    with opened(path) as file:
        first = file.readline().decode("utf-8-sig")
    if not first.strip():
        raise DataError(
            f"{path} is empty.", "A CSV file starts with a line of column names.", "Check the source."
        )
    separator = max(SEPARATORS, key=first.count)
    names = next(csv.reader([first], delimiter=separator))
    check_names(names, str(path))
    if not _looks_rectangular(path, separator, len(names)):
        _find_ragged(path, separator, len(names))
    return separator


def check_names(names: list[str], where: str) -> None:
    """Checks that every column has a name of its own.

    Raises:
        DataError: a name is empty, or given twice.
    """
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            f"{where} has {names.count(twice[0])} columns named {twice[0]!r}.",
            "Column names must differ.",
            "Rename one of them in the source.",
        )
    if "" in names:
        raise DataError(
            f"{where} has a column without a name, the {names.index('') + 1}th of {len(names)}.",
            "Every column needs a name.",
            "Name it in the first line of the source.",
        )


def _check_encoding(path: Path) -> None:
    tail, position = b"", 0
    with opened(path) as file:
        while chunk := tail + file.read(CHUNK - len(tail)):
            try:
                chunk.decode("utf-8")
                tail = b""
            except UnicodeDecodeError as error:
                tail = chunk[error.start :]
                if error.reason != "unexpected end of data" or len(chunk) < CHUNK:
                    raise DataError(
                        f"{path} is not UTF-8: byte {tail[0]:#04x} at position {position + error.start:,}.",
                        "CSV files must be encoded in UTF-8.",
                        f"Convert it, such as `iconv -f latin1 -t utf-8 {path.name}`.",
                    ) from None
            position += len(chunk) - len(tail)


def _looks_rectangular(path: Path, separator: str, fields: int) -> bool:
    """Whether each line has as many fields, if every quote opens or closes: fast, sure when true."""
    quoted, seen, last = 0, 0, NEWLINE
    with opened(path) as file:
        while chunk := file.read(CHUNK):
            data = np.frombuffer(chunk, np.uint8)
            inside = (np.cumsum(data == QUOTE) + quoted) & 1
            counts = np.cumsum((data == ord(separator)) & (inside == 0))
            at_ends = counts[(data == NEWLINE) & (inside == 0)]
            if (np.diff(at_ends, prepend=-seen) != fields - 1).any():
                return False
            seen = int(counts[-1] - at_ends[-1]) if len(at_ends) else seen + int(counts[-1])
            quoted, last = int(inside[-1]), int(data[-1])
    return quoted == 0 and (last == NEWLINE or seen == fields - 1)


def _find_ragged(path: Path, separator: str, fields: int) -> None:
    """Reads the file by the rules of CSV and names the first row that does not fit."""
    with opened(path) as file:
        rows = csv.reader((line.decode("utf-8-sig") for line in file), delimiter=separator)
        start = 1
        for row in rows:
            if len(row) != fields and not (fields == 1 and not row):
                raise DataError(
                    f"{path}, line {start}: {len(row)} fields, where the header names {fields}.",
                    f"Every row needs {fields} fields, separated by {separator!r}.",
                    "Mend that line in the source.",
                )
            start = rows.line_num + 1


def schema(path: Path, null_values: tuple[str, ...]) -> dict[str, pl.DataType]:
    """The types of a checked file's columns, inferred from all of its rows."""
    return dict(_scan(path, null_values, {}).collect_schema())


def batches(
    path: Path, null_values: tuple[str, ...], types: dict[str, pl.DataType], rows: int
) -> Iterator[pl.DataFrame]:
    """The rows of a checked file in pieces of `rows`, read as `types`."""
    yield from _scan(path, null_values, types).collect_batches(chunk_size=rows)


def _scan(path: Path, null_values: tuple[str, ...], types: dict[str, pl.DataType]) -> pl.LazyFrame:
    with opened(path) as file:
        first = file.readline().decode("utf-8-sig")
    return pl.scan_csv(
        path,
        separator=max(SEPARATORS, key=first.count),
        null_values=list(null_values),
        schema_overrides=types,
        infer_schema_length=None,
        glob=False,
    )
