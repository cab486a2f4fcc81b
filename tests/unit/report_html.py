"""What a page must hold to, whatever it shows; shared by the tests of the report."""

import re
from html.parser import HTMLParser


class Outside(HTMLParser):
    """Collects what a browser would fetch, the tags in use, and ids."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.ids: list[str] = []
        self.anchors: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {k: v or "" for k, v in attrs}
        self.scripts += tag == "script"
        self.ids += [found["id"]] if "id" in found else []
        for name in ("src", "href", "xlink:href", "srcset", "poster", "data", "action"):
            value = found.get(name, "")
            if value.startswith("#"):
                self.anchors.append(value[1:])
            elif value and not value.startswith("data:"):
                self.fetched.append(value)
        for value in found.values():
            self.fetched += [u for u in re.findall(r"url\(([^)]*)\)", value) if not u.startswith("#")]


def check(html: str) -> None:
    """A page fetches nothing, runs one script (the theme's), and its ids are unique and all there."""
    page = Outside()
    page.feed(html)
    assert page.fetched == []
    assert "@import" not in html
    assert re.findall(r"url\((?!#)", html) == []
    assert re.findall(r"https?://", html) == []
    assert page.scripts == 1
    assert len(page.ids) == len(set(page.ids))
    assert set(page.anchors) <= set(page.ids)
    assert "nan" not in re.sub(r"<[^>]*>", " ", html).lower().split()
