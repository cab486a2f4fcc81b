"""Reads project.yaml, the one file that a user edits, and explains what is wrong with it."""

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from lockgate.errors import ConfigError
from lockgate.project import Project


def read_project(path: Path) -> Project:
    """Reads project.yaml (or the folder that holds it).

    Raises:
        ConfigError: the file is missing, is not YAML, has a key that is not known (with the nearest
            known one), or a value that is not allowed.
    """
    file = path / "project.yaml" if path.is_dir() else path
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be read: {error.strerror}.",
            "Lockgate needs a project.yaml.",
            "Name its folder, such as `lockgate run examples/flights`.",
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{file} is not UTF-8: byte {error.start} is {text_byte(error)}.",
            "Lockgate reads UTF-8.",
            "Save the file as UTF-8.",
        ) from None
    project = parse_project(text, str(file))
    _check_metrics(project)
    return _resolved(project, file.parent)


def text_byte(error: UnicodeDecodeError) -> str:
    """The byte that is no UTF-8, as 0x.."""
    return f"0x{error.object[error.start]:02x}"


def _check_metrics(project: Project) -> None:
    """Before anything runs: a misspelt metric would show only after the training."""
    from lockgate.evaluation.metrics import require_metric

    require_metric(project.metric, project.task)
    for rule in ("minimum", "maximum"):
        for name in getattr(project.evaluate.rules, rule):
            require_metric(name, project.task, f"evaluate.rules.{rule}")


def _resolved(project: Project, folder: Path) -> Project:
    """Makes a relative source absolute: steps run elsewhere."""
    source = project.data.source
    if "://" in source or function_of(source) is not None:
        return project
    data = project.data.model_copy(update={"source": str((folder / source).resolve())})
    return project.model_copy(update={"data": data})


def function_of(name: str | None) -> tuple[str, str] | None:
    """Splits `file.py:function`; None for anything else, such as a path."""
    file, colon, function = (name or "").rpartition(":")
    return (file, function) if colon and file.endswith(".py") else None


def read_code(project: Project, folder: Path) -> dict[str, str]:
    """The user's Python files that project.yaml names, as text by file name.

    Raises:
        ConfigError: a file cannot be read.
    """
    code = {}
    for named in (project.data.source, project.model.function):
        if (parts := function_of(named)) is not None:
            file = folder / parts[0]
            try:
                code[parts[0]] = file.read_text(encoding="utf-8")
            except OSError as error:
                raise ConfigError(
                    f"{file} cannot be read: {error.strerror}.",
                    f"project.yaml names {named}: a Python file beside it.",
                    "Write the file, or correct the name.",
                ) from None
    return code


def parse_project(text: str, where: str = "project.yaml") -> Project:
    """Parses the text of a project.yaml; `where` names it in errors.

    Raises:
        ConfigError: as for `read_project`.
    """
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is not YAML: {error}.", "", "Mend the line that it names.") from None
    if not isinstance(content, dict):
        raise ConfigError(
            f"{where} holds {type(content).__name__}, not keys with values.",
            f"It needs at least {', '.join(sorted(_required(Project)))}.",
            "See examples/flights/project.yaml.",
        )
    try:
        return Project.model_validate(content)
    except ValidationError as error:
        raise _explained(error, where) from None


def _required(section: type[BaseModel]) -> list[str]:
    return [name for name, field in section.model_fields.items() if field.is_required()]


def _explained(error: ValidationError, where: str) -> ConfigError:
    lines = [_line(problem) for problem in error.errors()]
    given, allowed = lines[0]
    more = "".join(f"\n  also: {line}" for line, _ in lines[1:6])
    return ConfigError(f"{where}: {given}{more}", allowed, f"Edit {where}.")


def _line(problem: Any) -> tuple[str, str]:
    path = [
        str(part) for part in problem["loc"] if part not in ("time", "random") or problem["loc"][0] != "split"
    ]
    key = ".".join(path)
    match problem["type"]:
        case "extra_forbidden":
            known = _keys_at(path[:-1])
            near = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            return f"unknown key {key!r}.{hint}", f"Known keys there: {', '.join(known)}."
        case "missing":
            return f"{key!r} is missing.", ""
        case "value_error":
            prefix = f"{key}: " if key else ""
            return f"{prefix}{problem['ctx']['error']}.", ""
        case _:
            return f"{key} is {problem['input']!r}.", f"{problem['msg']}."


def _keys_at(path: list[str]) -> list[str]:
    """The keys that are known at a place of project.yaml."""
    annotation: Any = Project
    for part in path:
        section = _section_in(annotation)
        if annotation is section and section is not None:  # a section: its field; else an item or an entry
            annotation = section.model_fields[part].annotation if part in section.model_fields else None
        else:
            annotation = section
    sections = list(_sections_in(annotation))
    return sorted({key for section in sections for key in section.model_fields})


def _section_in(annotation: Any) -> Any:
    """The first section class inside an annotation such as `Mapping[str, Feature]`, or None."""
    return next(_sections_in(annotation), None)


def _sections_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The section classes inside an annotation: several where it is a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _sections_in(argument)
