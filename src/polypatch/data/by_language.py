"""Rows of one data set in several languages, however its files hold them; a row of one language is `Fields`.

Layouts, which one folder may mix: files with rows of one language, which their names say (``de.jsonl.gz``,
``en_qa.json``); files whose rows are ``{"en": {…}, "de": {…}}``; files whose rows are English and have other languages
inside them, ``{"src": …, "de": {…}}``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from polypatch.data.fields import Fields, field_rows
from polypatch.edits import Lang
from polypatch.errors import DataError
from polypatch.languages import TWO_LETTERS, is_lang

SUFFIXES = (".json", ".jsonl")
IDS = ("id", "case_id")
NAMED = {"chinese": "zh", "english": "en"}

GAPS = "gaps in the files, left out"
STRAYS = "rows left out that ask something else than the row of their id in another file"


@dataclass
class RowsByLanguage:
    """Rows by id and language, in the order of the first file, and what was left out.

    Attributes:
        rows: id -> language -> the row.
        left_out: why -> how many rows.
    """

    rows: dict[str, dict[Lang, Fields]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def languages(self) -> tuple[Lang, ...]:
        """Every language of any row."""
        return tuple(dict.fromkeys(lang for row in self.rows.values() for lang in row))


def json_files(place: Path) -> list[Path]:
    """The file itself, or the JSON files of a folder, by name.

    Raises:
        DataError: there is none; the message lists what the folder has.
    """
    if not place.is_dir():
        return [place]
    found = sorted(path for path in place.iterdir() if Path(path.name.removesuffix(".gz")).suffix in SUFFIXES)
    if not found:
        has = ", ".join(sorted(path.name for path in place.iterdir())[:8]) or "nothing"
        raise DataError(f"{place}: no .json or .jsonl file in it (has: {has})")
    return found


def read_by_language(
    paths: Iterable[Path], source: Lang, asks: Callable[[Fields], str] = lambda row: row.maybe("src")
) -> RowsByLanguage:
    """The rows of several files, put together by their ids, or by their numbers where they have none of their own.

    A row without a question is a gap. Files that repeat a language must ask the same there; a row that does not is not
    the same fact, and is left out.

    Args:
        paths: the files.
        source: the language of a file whose name says none.
        asks: the question of a row, empty for a gap.

    Raises:
        DataError: as `field_rows`.
    """
    found = RowsByLanguage()
    for path in paths:
        lang = language_of(path) or source
        rows = [by_language(row, lang) for row in field_rows(path)]
        for key, row in zip(_keys(rows), rows, strict=True):
            full = {lang: one for lang, one in row.items() if asks(one)}
            found.left_out[GAPS] += len(row) - len(full)
            known = found.rows.get(key, {})
            if any(asks(known[lang]) != asks(one) for lang, one in full.items() if lang in known):
                found.left_out[STRAYS] += 1
            elif full:
                found.rows[key] = {**known, **{lang: one for lang, one in full.items() if lang not in known}}
    return found


def language_of(path: Path) -> Lang | None:
    """The language in a file's name: all of it (``ceb.jsonl``), or a part of two letters (``test_zh-cn.json``)."""
    stem = path.name.split(".")[0]
    if is_lang(stem):
        return stem
    parts = (part.split("-")[0] for part in stem.split("_"))
    return next((named for part in parts if (named := NAMED.get(part, part)) in TWO_LETTERS), None)


def by_language(row: Fields, lang: Lang) -> Mapping[Lang, Fields]:
    """A row of one language, or the rows that it has by language; what stands beside those is English."""
    inner = [name for name, value in row.row.items() if isinstance(value, dict) and is_lang(_primary(name))]
    found = {_primary(name): row.inside(name) for name in inner}
    beside = {name: value for name, value in row.row.items() if name not in inner}
    if not inner or beside.keys() - IDS:
        found = {"en" if inner else lang: Fields(beside, row.where), **found}
    return found


def _primary(name: str) -> Lang:
    """``zh-cn`` -> ``zh``; what is no language stays, to be named when it is asked for."""
    return name.split("-")[0].lower()


def _keys(rows: list[Mapping[Lang, Fields]]) -> list[str]:
    own = [next((key for one in row.values() for name in IDS if (key := one.maybe(name))), "") for row in rows]
    return own if all(own) and len(set(own)) == len(own) else [str(number) for number in range(1, len(rows) + 1)]
