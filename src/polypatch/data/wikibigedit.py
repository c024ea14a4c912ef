"""WikiBigEdit (English): half a million changes of Wikidata in eight periods of 2024 (Thede et al. 2025).

A file, or a folder of files that are read in the order of their names, which is that of time. Fields: ``update`` (the
question), ``ans`` (the new answer), ``rephrase`` and ``personas`` (the same question otherwise), ``subject``, ``loc``
and ``loc_ans`` (an unrelated question), ``mhop`` and ``mhop_ans`` (one that follows, which few rows have).

Source: arXiv:2503.05683.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path

from polypatch.data.by_language import json_files
from polypatch.data.fact_edits import NEAR, FactInLanguage, QuestionAndAnswer, fact_material
from polypatch.data.fields import Fields, field_rows
from polypatch.data.rows import Material, choose_languages
from polypatch.edits import Lang

HOPS = "multi_hop"


def read_wikibigedit(
    place: str | PathLike[str], languages: Iterable[Lang] | None = None, source: Lang = "en"
) -> Material:
    """Every row of every file.

    Raises:
        DataError: a broken or missing file, or a language other than the files', which is `source`.
    """
    rows = (row for path in json_files(Path(place)) for row in _named(path))
    return wikibigedit_material(rows, languages, source, where=place)


def wikibigedit_material(
    rows: Iterable[tuple[str, Fields]], languages: Iterable[Lang] | None, source: Lang, *, where: object
) -> Material:
    """Rows with their names as edits.

    Raises:
        DataError: as `wikibigedit_fact`, or a language other than `source`.
    """
    chosen = choose_languages(languages, [source], source=source, where=where)
    facts = {name: {source: wikibigedit_fact(row)} for name, row in rows}
    return fact_material("wikibigedit", chosen, facts, where=where)


def wikibigedit_fact(row: Fields) -> FactInLanguage:
    """A row as the fact that it tells.

    Raises:
        DataError: no question, no answer, or a field that is not text.
    """
    near, hop = row.maybe("loc"), row.maybe("mhop")
    return FactInLanguage(
        prompt=row.text("update"),
        target=row.text("ans"),
        rephrases=(*row.texts("rephrase"), *row.texts("personas")),
        subject=row.maybe("subject"),
        locality={NEAR: (QuestionAndAnswer(near, row.maybe("loc_ans")),)} if near else {},
        portability={HOPS: (QuestionAndAnswer(hop, row.maybe("mhop_ans")),)} if hop else {},
    )


def _named(path: Path) -> Iterator[tuple[str, Fields]]:
    stem = path.name.split(".")[0].removeprefix("wiki_big_edit_")
    return ((f"wikibigedit-{stem}-{number}", row) for number, row in enumerate(field_rows(path), start=1))
