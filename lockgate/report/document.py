"""One self-contained HTML file: nothing is fetched when it is opened, today or in ten years."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lockgate.records import Record
from lockgate.report import numbers

FOLDER = Path(__file__).parent


class Section(Record):
    """A part of a page.

    `id` is its anchor and unique in a document, `body` is finished HTML (see `render`), and sections that
    follow each other with the same `group` stand under one heading of the navigation.
    """

    id: str
    title: str
    body: str
    group: str = ""


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    environment.filters.update(numbers.FILTERS)
    return environment


def render(template: str, **values: Any) -> Markup:
    """Fills a template of this package; every value that is not `Markup` is escaped.

    Raises:
        jinja2.UndefinedError: the template names a value that is not given.
    """
    return Markup(_environment().get_template(template).render(**values))  # noqa: S704 - autoescaped


def document(title: str, sections: Sequence[Section], *, subtitle: str = "", header: str = "") -> str:
    """The sections as one HTML file that needs nothing beside it.

    Args:
        title: what the page is about; plain text.
        sections: in reading order; their ids must differ.
        subtitle: a line below the title; plain text.
        header: finished HTML between the title and the first section.

    Raises:
        ValueError: two sections have the same id.
    """
    ids = [section.id for section in sections]
    if doubled := sorted({name for name in ids if ids.count(name) > 1}):
        raise ValueError(f"sections with the same id in one document: {', '.join(doubled)}")
    return str(
        render(
            "document.html",
            title=title,
            subtitle=subtitle,
            header=Markup(header),  # noqa: S704 - made by render
            sections=[section.model_copy(update={"body": Markup(section.body)}) for section in sections],  # noqa: S704
            style=Markup(_style()),  # noqa: S704 - a file of this package
        )
    )


@lru_cache(maxsize=1)
def _style() -> str:
    return (FOLDER / "style.css").read_text(encoding="utf-8")
