"""A source that is a function in the user's Python file."""

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from lockgate.data.csvfile import check_names
from lockgate.errors import DataError
from lockgate.usercode import raised, user_function


def batches(source: str, code: Mapping[str, str], rows: int) -> Iterator[pl.DataFrame]:
    """Calls `file.py:function` and yields what it gives, as polars frames.

    Args:
        source: the file and the function.
        code: the text of the file, by its name.
        rows: how many rows a piece of a lazy frame has.

    Raises:
        DataError: there is no such function, it raised (with its traceback), or it gave something that is
            not a frame of polars, pandas or pyarrow, nor an iterator of those.
    """
    yield from _guarded(source, _call(source, code), rows)


def _call(source: str, code: Mapping[str, str]) -> Any:
    function = user_function(source, code, "data.source", DataError)
    try:
        return function()
    except Exception as error:
        raise raised(source, error, DataError) from None


def _guarded(source: str, result: Any, rows: int) -> Iterator[pl.DataFrame]:
    pieces = result if isinstance(result, Iterator) else iter((result,))
    while True:
        try:
            piece = next(pieces, None)
        except Exception as error:
            raise raised(source, error, DataError) from None
        if piece is None:
            return
        yield from _frames(source, piece, rows)


def _frames(source: str, piece: Any, rows: int) -> Iterator[pl.DataFrame]:
    if isinstance(piece, pl.DataFrame):
        yield piece
    elif isinstance(piece, pl.LazyFrame):
        lazy = iter(piece.collect_batches(chunk_size=rows))
        yield from _guarded(source, lazy, rows)
    else:
        yield _converted(source, piece)


def _converted(source: str, piece: Any) -> pl.DataFrame:
    library = type(piece).__module__.partition(".")[0]
    if library not in ("pandas", "pyarrow"):
        raise DataError(
            f"{source} returned {type(piece).__name__}.",
            "It may return a polars, pandas or pyarrow table, or an iterator of them.",
            "Mend the function.",
        )
    names = piece.columns if library == "pandas" else piece.schema.names
    check_names([str(name) for name in names], f"The table that {source} returned")
    try:
        if library == "pandas":
            return pl.from_pandas(piece.rename(columns=str), nan_to_null=True)
        frame = pl.from_arrow(piece)
    except Exception as error:
        raise raised(source, error, DataError) from None
    assert isinstance(frame, pl.DataFrame)
    return frame
