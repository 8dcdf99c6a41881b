"""Reading a page as a browser does: its elements, and the text in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

_VOID = {"meta", "link", "img", "br", "wbr"}
_APART = {"br", "dd", "div", "dt", "li", "p", "small", "td", "th", "tr"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    children: list[Element | str] = field(default_factory=list)

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """Those inside that match; ``class_`` matches one of several classes."""
        return [
            element
            for element in self.walk()
            if element.tag == tag
            and all(_matches(element, key, value) for key, value in attributes.items())
        ]

    def one(self, tag: str, **attributes: str) -> Element:
        (found,) = self.all(tag, **attributes)
        return found

    def walk(self) -> Iterator[Element]:
        for child in self.children:
            if isinstance(child, Element):
                yield child
                yield from child.walk()

    @property
    def text(self) -> str:
        """What is read, with every run of blanks as one."""
        return " ".join(self._raw().split())

    def _raw(self) -> str:
        inside = "".join(c if isinstance(c, str) else c._raw() for c in self.children)
        return f" {inside} " if self.tag in _APART else inside


def _matches(element: Element, key: str, value: str) -> bool:
    if key == "class_":
        return value in element.attributes.get("class", "").split()
    return element.attributes.get(key.replace("_", "-")) == value


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.path = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {key: value or "" for key, value in attrs})
        self.path[-1].children.append(element)
        if tag not in _VOID:
            self.path.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.path[-1].children.append(Element(tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.path[-1].tag == tag, f"</{tag}> ends <{self.path[-1].tag}>"
        self.path.pop()

    def handle_data(self, data: str) -> None:
        self.path[-1].children.append(data)


def read(path: Path) -> Element:
    """The page; an element that is not closed, or closed twice, fails the test."""
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    assert len(reader.path) == 1
    return reader.path[0]
