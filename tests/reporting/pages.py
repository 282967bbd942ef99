"""An HTML page as a browser's parser sees it."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """
    Text, attributes and ids of a page; refuses an element that is not closed where it should be.

    Attributes
    ----------
    attributes
        Every (element, attribute, value), in order.
    text
        What a reader sees, white space collapsed.
    """

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.attributes: list[tuple[str, str, str | None]] = []
        self.elements: list[str] = []
        self._open: list[str] = []
        self._text: list[str] = []
        self.feed(source)
        self.close()
        if self._open:
            raise ValueError(f"not closed: {self._open}")

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._text).split())

    def values(self, attribute: str) -> list[str]:
        """All values of an attribute."""
        return [value or "" for _, name, value in self.attributes if name == attribute]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember what is opened."""
        self.elements.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element of SVG that closes itself."""
        self.elements.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost element, which must be the one named."""
        innermost = self._open.pop() if self._open else None
        if innermost != tag:
            raise ValueError(f"</{tag}> closes <{innermost}> in line {self.getpos()[0]}")

    def handle_data(self, data: str) -> None:
        """Collect text, but not the style sheet."""
        if not self._open or self._open[-1] not in {"style", "title"}:
            self._text.append(data)
