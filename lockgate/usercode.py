"""The user's Python file beside project.yaml: finding a function in it, and telling of its errors."""

import linecache
import traceback
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lockgate.errors import LockgateError

Kind = type[LockgateError]


def user_function(where: str, code: Mapping[str, str], setting: str, kind: Kind) -> Callable[..., Any]:
    """The function that `file.py:function` names.

    Args:
        where: the file and the function.
        code: the text of the user's files, by name.
        setting: the key of project.yaml that says so, for errors.
        kind: the class of the errors to raise.

    Raises:
        LockgateError: of that kind: there is no such file or function, or running the file failed.
    """
    file, _, name = where.rpartition(":")
    text = code.get(file) or code.get(Path(file).name)
    if text is None:
        raise kind(
            f"The file that {setting} names, {where!r}, is not there.",
            f"Beside project.yaml lies {', '.join(code) or 'no Python file that it names'}.",
            f"Write {setting} as file.py:function.",
        )
    module = types.ModuleType(Path(file).stem)
    module.__dict__["__file__"] = file
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)  # for tracebacks
    try:
        exec(compile(text, file, "exec"), module.__dict__)  # noqa: S102 - running the user's file is the purpose
    except Exception as error:
        raise raised(where, error, kind) from None
    function = getattr(module, name, None)
    if not callable(function):
        own = sorted(n for n, v in vars(module).items() if isinstance(v, types.FunctionType))
        raise kind(
            f"{file} has no function {name!r}.", f"It has {', '.join(own) or 'none'}.", f"Mend {setting}."
        )
    found: Callable[..., Any] = function
    return found


def raised(where: str, error: Exception, kind: Kind) -> LockgateError:
    """The user's own frames of the traceback, without Lockgate's, as an error of that kind."""
    file = where.rpartition(":")[0]
    frames = traceback.extract_tb(error.__traceback__)
    first = next((i for i, frame in enumerate(frames) if frame.filename == file), max(len(frames) - 1, 0))
    shown = "".join(traceback.format_list(frames[first:]) + traceback.format_exception_only(error))
    return kind(f"{where} raised an error:\n{shown.rstrip()}", "", f"Mend {file}.")
