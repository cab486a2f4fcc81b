"""The user's own network: a Keras function in the Python file beside project.yaml."""

import linecache
import traceback
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras

from lockgate.errors import TrainingError
from lockgate.features.spec import TransformSpec
from lockgate.project import Project
from lockgate.training.model import inputs_of
from lockgate.training.task import Task, check_scores

ENDINGS = ("sigmoid", "softmax")


def user_network(project: Project, code: Mapping[str, str], spec: TransformSpec, task: Task) -> keras.Model:
    """Calls `model.function` as function(inputs, project) and makes a network of what it gives.

    It is given the symbolic inputs ("numbers" float32 [n, d], each category int32 [n]) and gives the scores
    [n, width] (logits without activation; a regression: the standardised label), or a keras.Model on them.

    Raises:
        TrainingError: there is no such function, it raised (with its traceback), or gave something else.
    """
    where = project.model.function or ""
    function = _function(where, code)
    inputs = inputs_of(spec)
    try:
        given = function(inputs, project)
        network = given if isinstance(given, keras.Model) else keras.Model(inputs, given, name="network")
        check_scores(network, task)
    except Exception as error:
        raise failed(where, error) from None
    ending = getattr(getattr(network.layers[-1], "activation", None), "__name__", "")
    if ending in ENDINGS and project.task != "regression":
        raise TrainingError(
            f"{where} ends with the activation {ending!r}.",
            "Its last layer gives scores without activation; Lockgate makes probabilities of them.",
            "Take the last activation out.",
        )
    return network


def _function(where: str, code: Mapping[str, str]) -> Callable[..., Any]:
    file, _, name = where.rpartition(":")
    text = code.get(file) or code.get(Path(file).name)
    if text is None:
        raise TrainingError(
            f"The file of model.function {where!r} is not there.",
            f"Beside project.yaml lies {', '.join(code) or 'no Python file'}.",
            "Write model.function as file.py:function.",
        )
    module = types.ModuleType(Path(file).stem)
    module.__dict__["__file__"] = file
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    try:
        exec(compile(text, file, "exec"), module.__dict__)  # noqa: S102 - running the user's file is the purpose
    except Exception as error:
        raise failed(where, error) from None
    function = getattr(module, name, None)
    if not callable(function):
        raise TrainingError(
            f"{file} has no function {name!r}.",
            "model.function names a function of that file.",
            "Mend model.function.",
        )
    found: Callable[..., Any] = function
    return found


def failed(where: str, error: Exception) -> TrainingError:
    """The user's error with the part of its traceback that begins in the user's file."""
    file = where.rpartition(":")[0]
    frames = traceback.extract_tb(error.__traceback__)
    first = next((i for i, frame in enumerate(frames) if frame.filename == file), len(frames) - 1)
    shown = "".join(traceback.format_list(frames[first:]) + traceback.format_exception_only(error))
    return TrainingError(f"{where} raised an error:\n{shown.rstrip()}", "", f"Mend {file}.")
