"""MLaKE: single-hop questions in five languages, with other spellings of every answer (Wei et al. 2024).

A folder with a file of questions for each language (``en_qa.json``, ``en.jsonl.gz``), or the data set's own folder, in
which they are under ``single_hop/qa`` or ``single_hop``. Row i is the same fact in every language. Fields:
``question``, ``e_answer`` with ``e_answer_aliases`` after the edit, ``o_answer`` before it. It has neither memory nor
locality.

Source: arXiv:2404.04990.
"""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from polypatch.data.by_language import json_files, read_by_language
from polypatch.data.fact_edits import FactInLanguage, fact_material
from polypatch.data.fields import Fields
from polypatch.data.rows import Material, choose_languages
from polypatch.edits import Lang

QUESTION = "question"
INSIDE = ("single_hop/qa", "qa", "single_hop")


def read_mlake(place: str | PathLike[str], languages: Iterable[Lang] | None = None, source: Lang = "en") -> Material:
    """Everything in the folder, in file order.

    Raises:
        DataError: a broken or missing file, or a missing language.
    """
    folder = next((inner for name in INSIDE if (inner := Path(place) / name).is_dir()), Path(place))
    found = read_by_language(json_files(folder), source, asks=lambda row: row.maybe(QUESTION))
    chosen = choose_languages(languages, found.languages, source=source, where=folder)
    facts = {
        f"mlake-{key}": {lang: mlake_fact(row) for lang, row in rows.items() if lang in chosen}
        for key, rows in found.rows.items()
    }
    return fact_material("mlake", chosen, facts, notes=found.left_out, where=folder)


def mlake_fact(row: Fields) -> FactInLanguage:
    """A row as the fact that it tells.

    Raises:
        DataError: no question, no new answer, or a field that is not text.
    """
    return FactInLanguage(
        prompt=row.text(QUESTION),
        target=row.text("e_answer"),
        aliases=row.texts("e_answer_aliases"),
        former=row.maybe("o_answer"),
    )
