"""Which file of the repository is which page of the site, and links between them.

Pages are the files of ``docs/``, and the few beside it that `PAGES` lists. A link of a page is to a file, as it is on a
forge; on the site it is to that file's page, or to a copy of the file, where it is no page.
"""

import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "CITATION.cff": "cite.md",
    "benchmarks/README.md": "benchmarks.md",
}
"""Files outside of ``docs/`` that are pages."""

LINK = re.compile(
    r'(?P<before>\]\(|(?:src|srcset)=")(?P<target>[^)"#\s:]+)(?P<anchor>#[^)"\s]*)?(?P<after>\)|")', re.MULTILINE
)


def page_of(file: str) -> str:
    """Where a file of the repository is on the site."""
    if file in PAGES:
        return PAGES[file]
    if file.startswith("docs/"):
        return re.sub(r"\.ipynb$", ".md", file.removeprefix("docs/"))
    return f"files/{file}"


def file_of(page: str) -> str:
    """Which file of the repository a page is."""
    known = {page: file for file, page in PAGES.items()}
    if page in known:
        return known[page]
    notebook = f"docs/{page.removesuffix('.md')}.ipynb"
    return notebook if (ROOT / notebook).is_file() else f"docs/{page}"


def linked(text: str, file: str) -> Iterator[str]:
    """The files of the repository that a text, which stands in ``file``, links to."""
    for match in LINK.finditer(text):
        target = _resolved(match["target"], file)
        if (ROOT / target).is_file():
            yield target


def relinked(text: str, file: str) -> str:
    """The text with links between pages in place of links between files; what is no file stays as it is."""
    here = posixpath.dirname(page_of(file))

    def moved(match: re.Match[str]) -> str:
        target = _resolved(match["target"], file)
        if not (ROOT / target).is_file():
            return match[0]
        return (
            f"{match['before']}{os.path.relpath(page_of(target), here or '.')}{match['anchor'] or ''}{match['after']}"
        )

    return LINK.sub(moved, text)


def _resolved(target: str, file: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(file), target))
