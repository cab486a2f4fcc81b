"""A source that is a function in the user's Python file."""

import linecache
import traceback
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from lockgate.data.csvfile import check_names
from lockgate.errors import DataError


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
    file, _, name = source.rpartition(":")
    text = code.get(file) or code.get(Path(file).name)
    if text is None:
        raise DataError(
            f"The file of the source {source!r} is not there.", "", "Check data.source in project.yaml."
        )
    module = types.ModuleType(Path(file).stem)
    module.__dict__["__file__"] = file
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    try:
        exec(compile(text, file, "exec"), module.__dict__)  # noqa: S102 - running the user's file is the purpose
        function = getattr(module, name, None)
        if not callable(function):
            found = sorted(n for n, v in vars(module).items() if isinstance(v, types.FunctionType))
            raise DataError(
                f"{file} has no function {name!r}.",
                f"It has {', '.join(found) or 'none'}.",
                "Check data.source in project.yaml.",
            )
        return function()
    except DataError:
        raise
    except Exception as error:
        raise _failed(source, error) from None


def _guarded(source: str, result: Any, rows: int) -> Iterator[pl.DataFrame]:
    pieces = result if isinstance(result, Iterator) else iter((result,))
    while True:
        try:
            piece = next(pieces, None)
        except Exception as error:
            raise _failed(source, error) from None
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
        raise _failed(source, error) from None
    assert isinstance(frame, pl.DataFrame)
    return frame


def _failed(source: str, error: Exception) -> DataError:
    """The user's own frames of the traceback, without Lockgate's."""
    file = source.rpartition(":")[0]
    frames = traceback.extract_tb(error.__traceback__)
    first = next((i for i, frame in enumerate(frames) if frame.filename == file), 0)
    shown = "".join(traceback.format_list(frames[first:]) + traceback.format_exception_only(error))
    return DataError(f"{source} raised an error:\n{shown.rstrip()}", "", f"Mend {file}.")
