"""CITATION.cff as a page: what to cite, and as BibTeX."""

from typing import Any

import yaml

PAGE = """# How to cite

{message}

## The method

{method}

## What it builds on

{references}

## This software

{software}

The same is in `CITATION.cff`, at the root of the repository, which reference managers read.
"""


def as_markdown(cff: str, version: str) -> str:
    """The page, from the text of CITATION.cff."""
    given = yaml.safe_load(cff)
    software = {"title": f"{given['title']}, version {version}", "author": _authors(given["authors"])}
    return PAGE.format(
        message=given["message"],
        method=_entry(given["preferred-citation"]),
        references="\n\n".join(f"{one['notes']}\n\n{_entry(one)}" for one in given["references"]),
        software=_fenced("software", given["title"], software),
    )


def _entry(work: dict[str, Any]) -> str:
    arxiv = next(
        one["value"].removeprefix("arXiv:") for one in work["identifiers"] if one["value"].startswith("arXiv:")
    )
    fields = {
        "title": work["title"],
        "author": _authors(work["authors"]),
        "year": work["year"],
        "eprint": arxiv,
        "archiveprefix": "arXiv",
        "url": work["url"],
    }
    key = f"{work['authors'][0]['family-names'].lower()}{work['year']}"
    said = f"{_names(work['authors'])} ({work['year']}): [{work['title']}]({work['url']})."
    return f"{said}\n\n{_fenced('misc', key, fields)}"


def _fenced(kind: str, key: str, fields: dict[str, Any]) -> str:
    width = max(map(len, fields))
    lines = "".join(f"  {name:<{width}} = {{{value}}},\n" for name, value in fields.items())
    return f"```bibtex\n@{kind}{{{key},\n{lines}}}\n```"


def _authors(authors: list[dict[str, str]]) -> str:
    return " and ".join(
        f"{one['family-names']}, {one['given-names']}" if "family-names" in one else f"{{{one['name']}}}"
        for one in authors
    )


def _names(authors: list[dict[str, str]]) -> str:
    return ", ".join(f"{one['given-names']} {one['family-names']}" for one in authors)
