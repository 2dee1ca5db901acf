"""HTML as tests look at it: elements in order, with attributes and text. The standard library's parser, nothing clever."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser

_VOID = {"meta", "link", "input", "br", "hr", "img", "use", "circle", "path", "rect", "line"}


@dataclasses.dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    words: str = ""  # all text within, whitespace collapsed


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self._open: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        for position in range(len(self._open) - 1, -1, -1):
            if self._open[position].tag == tag:
                del self._open[position:]
                return

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.words += data


def elements(html: str, tag: str = "", **attributes: str) -> list[Element]:
    """Elements of that tag with those attribute values; class_ and data_x stand for class and data-x."""
    reader = _Reader()
    reader.feed(html)
    wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
    found = []
    for element in reader.elements:
        element.words = " ".join(element.words.split())
        if (not tag or element.tag == tag) and all(element.attributes.get(name) == value for name, value in wanted.items()):
            found.append(element)
    return found


def one(html: str, tag: str = "", **attributes: str) -> Element:
    """The only such element."""
    found = elements(html, tag, **attributes)
    assert len(found) == 1, f"{len(found)} elements {tag} {attributes}"
    return found[0]
