"""mkdocs' events: pages from files outside of ``docs/`` and from notebooks, links between them, and a last look."""

import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

import citation
import fetched
import notebook_pages
from repository import PAGES, ROOT, file_of, linked, page_of, relinked

VERSION = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)


def on_files(files: Files, config: Any) -> None:
    """Adds the pages that are no Markdown files in ``docs/``, and the files that pages link to."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=_text(source)))
    for notebook in sorted((ROOT / "docs").rglob("*.ipynb")):
        page = page_of(notebook.relative_to(ROOT).as_posix())
        files.append(File.generated(config, page, content=notebook_pages.as_markdown(notebook)))
    pages = files.documentation_pages()
    wanted = {file for page in pages for file in linked(page.content_string, file_of(page.src_uri))}
    for file in sorted(file for file in wanted if page_of(file).startswith("files/")):
        files.append(File.generated(config, page_of(file), abs_src_path=str(ROOT / file)))


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The page with links to pages in place of links to files.

    The first page needs no list of its neighbours, and nobody searches for a figure in the complete tables.
    """
    if page.is_homepage:
        page.meta["hide"] = ["navigation"]
    if page.file.src_uri.startswith("results/"):
        page.meta["search"] = {"exclude": True}
    return relinked(markdown, file_of(page.file.src_uri))


def on_post_build(config: Any) -> None:
    """Raises PluginError where a built page would fetch something from another host."""
    found = list(fetched.in_folder(Path(config["site_dir"])))
    if found:
        raise PluginError("the site is to be read without a network, but fetches\n" + "\n".join(found))


def _text(source: str) -> str:
    text = (ROOT / source).read_text(encoding="utf-8")
    if source != "CITATION.cff":
        return text
    (version,) = VERSION.findall((ROOT / "src/polypatch/_version.py").read_text(encoding="utf-8"))
    return citation.as_markdown(text, version)
