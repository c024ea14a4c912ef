"""What a built page makes a browser fetch by itself: nothing may come from another host."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

FETCHING = {
    "script": ("src",),
    "link": ("href",),
    "img": ("src", "srcset"),
    "source": ("src", "srcset"),
    "iframe": ("src",),
    "video": ("src", "poster"),
    "audio": ("src",),
    "object": ("data",),
    "embed": ("src",),
}
"""Elements whose address is fetched without a click. ``a`` is none of them."""

ELSEWHERE = re.compile(r"(?:^|[\s,])(?:https?:)?//")
IN_CSS = re.compile(r"(?:url\(|@import)\s*[\"']?((?:https?:)?//[^\"')\s]+)")


class _Addresses(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and name in FETCHING.get(tag, ()) and ELSEWHERE.search(value):
                self.found.append(value)


def from_elsewhere(text: str) -> list[str]:
    """Addresses on other hosts that a page, or a style sheet, has a browser fetch."""
    parser = _Addresses()
    parser.feed(text)
    return parser.found + IN_CSS.findall(text)


def in_folder(folder: Path) -> Iterator[str]:
    """The same of all pages and style sheets of a built site: ``file: address``."""
    for path in sorted([*folder.rglob("*.html"), *folder.rglob("*.css")]):
        for address in from_elsewhere(path.read_text(encoding="utf-8")):
            yield f"{path.relative_to(folder)}: {address}"
