"""mParaRel: 38 relations of Wikidata in many wordings and languages (Fierro and Søgaard 2022).

The authors' folder has ``patterns/{lang}/{relation}.jsonl`` (``pattern``, with ``[X]`` for the subject and ``[Y]`` for
the answer) and ``tuples/{lang}/{relation}.jsonl`` (``sub_uri``, ``obj_uri``, ``sub_label``, ``obj_label``). Another
folder may have one file ``patterns.jsonl`` (``lang``, ``rel``, ``pattern``) and tables ``facts/{lang}.tsv`` with the
columns ``rel sub obj sub_label obj_label``, where a language leaves out the labels it lacks. ``zh-hans`` is ``zh``.

Kept are the wordings that end in the answer, which a causal model continues. It is not said what a model knows: half of
the facts, chosen by their ids, are edits, the others stand for what must not change. Where a question has several right
answers the first counts.

Source: arXiv:2203.11552.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from polypatch.data.cloze import SECOND, Clozes, cloze_material
from polypatch.data.fields import field_rows
from polypatch.data.files import read_table
from polypatch.data.rows import Material, choose_languages
from polypatch.edits import Lang
from polypatch.errors import DataError

COLUMNS = ("rel", "sub", "obj", "sub_label", "obj_label")
LANGUAGES = {"zh-hans": "zh"}
"""Their names of languages to ours; what is no language (``zh-hant``) is not read."""


class _Row(NamedTuple):
    relation: str
    subject: str
    answer: str
    subject_label: str
    answer_label: str


def read_mpararel(place: str | PathLike[str], languages: Iterable[Lang] | None = None, source: Lang = "en") -> Material:
    """Everything in the folder, in the order of the source language's facts.

    Raises:
        DataError: a broken or missing file, or a missing language.
    """
    folder = Path(place)
    tables = _by_language(folder / ("tuples" if (folder / "tuples").is_dir() else "facts"))
    found = Clozes("mpararel", "[X]", "[Y]")
    for lang, relation, pattern in _patterns(folder):
        found.wordings.setdefault((lang, relation), []).append(pattern)
    has = [lang for lang in tables if lang in found.languages]
    chosen = choose_languages(languages, has, source=source, where=folder)
    first: dict[str, str] = {}
    for lang in chosen:
        for row in _rows(tables[lang]):
            key = f"{row.relation}-{row.subject}"
            if lang == source and first.setdefault(key, row.answer) != row.answer:
                found.left_out[SECOND] = found.left_out.get(SECOND, 0) + 1
            if row.subject_label and row.answer_label and first.get(key) == row.answer:
                found.relation[key] = row.relation
                found.facts.setdefault(key, {})[lang] = (row.subject_label, row.answer_label)
    return cloze_material(found, chosen, folder)


def _by_language(folder: Path) -> dict[Lang, Path]:
    """The file or folder of each language."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; mParaRel's has patterns and tuples, or patterns.jsonl and facts")
    found = {path.name.split(".")[0]: path for path in sorted(folder.iterdir())}
    return {LANGUAGES.get(name, name): path for name, path in found.items() if "-" not in name or name in LANGUAGES}


def _patterns(folder: Path) -> Iterator[tuple[Lang, str, str]]:
    if (folder / "patterns").is_dir():
        for lang, inner in _by_language(folder / "patterns").items():
            for path in sorted(inner.glob("*.jsonl*")):
                yield from ((lang, path.name.split(".")[0], row.text("pattern")) for row in field_rows(path))
        return
    candidates = (folder / "patterns.jsonl.gz", folder / "patterns.jsonl")
    for row in field_rows(next((path for path in candidates if path.is_file()), candidates[1])):
        lang = row.text("lang")
        yield LANGUAGES.get(lang, lang), row.text("rel"), row.text("pattern")


def _rows(place: Path) -> Iterator[_Row]:
    if not place.is_dir():
        yield from (_Row(*row) for row in read_table(place, COLUMNS))
        return
    for path in sorted(place.glob("*.jsonl*")):
        for row in field_rows(path):
            labels = row.maybe("sub_label"), row.maybe("obj_label")
            yield _Row(path.name.split(".")[0], row.text("sub_uri"), row.text("obj_uri"), *labels)
