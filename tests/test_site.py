"""The documentation's site, as far as it can be seen without building it; `make docs` builds it."""

import importlib
import json
import pkgutil
import re
from pathlib import Path

import pytest
import yaml

import citation
import fetched
import notebook_pages
import polypatch
import repository

ROOT = Path(__file__).resolve().parents[1]
DESCRIBED = re.findall(
    r"^::: (\S+)$",
    "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs/api").glob("*.md")),
    re.MULTILINE,
)


def packages():
    """`polypatch`, and the packages below it that list what they offer."""
    found = [polypatch]
    for module in pkgutil.walk_packages(polypatch.__path__, "polypatch."):
        if module.ispkg and hasattr(package := importlib.import_module(module.name), "__all__"):
            found.append(package)
    return found


def thing(path):
    """What griffe finds there: of a module and a function of one name, the module."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        return getattr(thing(module), name)


def test_every_public_name_is_on_an_api_page():
    """By its own path, or by another of the same thing."""
    assert len(packages()) >= 8
    described = [thing(path) for path in DESCRIBED]
    missing = [
        f"{package.__name__}.{name}"
        for package in packages()
        for name in package.__all__
        if not any(getattr(package, name) is other for other in described)
    ]
    assert not missing, f"docs/api has no ::: {missing}"


def test_nothing_is_on_two_api_pages():
    assert sorted(DESCRIBED) == sorted(set(DESCRIBED))


def test_every_name_on_an_api_page_says_what_it_is():
    """griffe shows docstrings; of a constant, the one below it in the source is what it shows."""
    assert len(DESCRIBED) > 120
    for path in DESCRIBED:
        value = thing(path)
        if callable(value) and hasattr(value, "__qualname__"):
            assert value.__doc__, path


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ('<script src="https://cdn.example/x.js"></script>', ["https://cdn.example/x.js"]),
        ('<link rel="stylesheet" href="//fonts.example/css">', ["//fonts.example/css"]),
        ('<img srcset="a.png 1x, https://example.org/b.png 2x">', ["a.png 1x, https://example.org/b.png 2x"]),
        ("@font-face { src: url('https://example.org/f.woff2') }", ["https://example.org/f.woff2"]),
        ('<a href="https://arxiv.org/abs/2401.03190">a link is not fetched</a><img src="images/a.svg">', []),
    ],
)
def test_what_a_page_fetches_from_elsewhere_is_found(html, found):
    assert fetched.from_elsewhere(html) == found


def test_a_built_site_is_looked_through(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "index.html").write_text('<script src="https://cdn.example/x.js"></script>')
    (tmp_path / "site.css").write_text("@import '//fonts.example/css';")
    assert list(fetched.in_folder(tmp_path)) == [
        "a/index.html: https://cdn.example/x.js",
        "site.css: //fonts.example/css",
    ]


@pytest.mark.parametrize(
    ("file", "text", "moved"),
    [
        ("README.md", "[day two](docs/day-two.md)", "[day two](day-two.md)"),
        ("docs/faq.md", "[cite](../CITATION.cff)", "[cite](cite.md)"),
        ("docs/recipe.md", "[fast](../benchmarks/README.md#encodingpy)", "[fast](benchmarks.md#encodingpy)"),
        ("docs/api/extending.md", "[how](../../CONTRIBUTING.md)", "[how](../contributing.md)"),
        ("benchmarks/README.md", "[data](results/tail.json)", "[data](files/benchmarks/results/tail.json)"),
        ("CONTRIBUTING.md", "READOUTS[name](site, tokens) [web](https://example.org)", None),
    ],
)
def test_links_between_files_become_links_between_pages(file, text, moved):
    assert repository.relinked(text, file) == (moved or text)


def test_every_page_of_the_site_has_its_place_in_the_navigation():
    """But for the tables in full, to which the tables link."""
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("theme:")[0]
    named = re.findall(r"[\w/-]+\.md$", config, re.MULTILINE)
    assert sorted(named) == sorted(set(named))
    pages = {repository.page_of(path.relative_to(ROOT).as_posix()) for path in (ROOT / "docs").rglob("*.md")}
    pages |= {repository.page_of(path.relative_to(ROOT).as_posix()) for path in (ROOT / "docs").rglob("*.ipynb")}
    pages |= set(repository.PAGES.values())
    assert set(named) == {page for page in pages if not page.startswith("results/")}
    assert all((ROOT / repository.file_of(page)).is_file() for page in named)


def test_a_notebook_is_a_page(tmp_path):
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "text"]},
        {
            "cell_type": "code",
            "source": ["print(1)\n", "it"],
            "outputs": [
                {"output_type": "stream", "text": ["1\n"]},
                {"output_type": "execute_result", "data": {"text/plain": ["it"], "text/html": ["<b>it</b>"]}},
            ],
        },
    ]
    (tmp_path / "one.ipynb").write_text(json.dumps({"cells": cells}))
    assert notebook_pages.as_markdown(tmp_path / "one.ipynb") == (
        '# Title\ntext\n\n<a href="../one.ipynb" download>The notebook itself</a>\n\n'
        '```python\nprint(1)\nit\n```\n\n```text\n1\n```\n\n<div class="output"><b>it</b></div>\n'
    )


def test_what_to_cite_is_what_the_citation_file_says():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    page = citation.as_markdown(text, "9.9")
    for work in (yaml.safe_load(text)["preferred-citation"], *yaml.safe_load(text)["references"]):
        assert f"= {{{work['title']}}}" in page
        assert all(f"{one['family-names']}, {one['given-names']}" in page for one in work["authors"])
    assert "polypatch, version 9.9" in page


def test_every_figure_of_the_conclusions_stands_in_a_table():
    """docs/results.md says what docs/tables have, and docs/recipe.md."""
    figure = re.compile(r"\d+\.\d+")
    measured = [*(ROOT / "docs/tables").glob("*.md"), ROOT / "docs/recipe.md"]
    known = {one for path in measured for one in figure.findall(path.read_text(encoding="utf-8"))}
    text = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    assert len(figure.findall(text)) > 50
    assert not set(figure.findall(text)) - known


def test_the_conclusions_are_short():
    words = (ROOT / "docs/results.md").read_text(encoding="utf-8").split()
    assert len([word for word in words if any(map(str.isalnum, word))]) <= 900
