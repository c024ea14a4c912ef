"""Facts with how a model was taught them, one a line: those it has wrong or never heard are edits, the others stay.

The file of a model that was trained on known facts, such as `mini-lm`'s ``facts.jsonl.gz``. Fields: ``id``, of what is
asked; ``true``, of the answer, where a question has several; ``kind``: *known*, *wrong* (taught another answer) or
*unknown* (never taught); ``langs``; ``prompt``: language -> wordings, the first of which is the edit's prompt and the
others its rephrases; ``answer``: language -> the truth; ``said``: language -> what the model was taught.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

from polypatch.data.fact_edits import FactInLanguage, fact_material, first_answers
from polypatch.data.fields import Fields, field_rows
from polypatch.data.quoting import quoted
from polypatch.data.rows import KnownFact, Material, choose_languages
from polypatch.edits import Lang
from polypatch.errors import DataError

KNOWN, WRONG, UNKNOWN = "known", "wrong", "unknown"
ASKED = "known facts left out that an edit asks for"


@dataclass(frozen=True, slots=True)
class _Row:
    where: str
    id: str
    true: str
    kind: str
    answers: Mapping[Lang, FactInLanguage]


def read_facts(place: str | PathLike[str], languages: Iterable[Lang] | None = None, source: Lang = "en") -> Material:
    """Every fact of the file, in file order. An edit is called after its fact, and after its answer where edits differ.

    A question with several right answers gives edits that contradict one another; nothing that an edit asks for is in
    the memory or in the locality set.

    Raises:
        DataError: a broken or missing file, a missing language, one fact twice, or no fact to edit.
    """
    path = Path(place)
    rows = [_row(fields) for fields in field_rows(path)]
    has = dict.fromkeys(lang for row in rows for lang in row.answers)
    chosen = choose_languages(languages, has, source=source, where=path)
    edited = [row for row in rows if row.kind != KNOWN]
    asked = {row.id for row in edited}
    known = [row for row in rows if row.kind == KNOWN and source in row.answers]
    others = _facts([row for row in known if row.id not in asked], chosen)
    left_out = {ASKED: sum(row.id in asked for row in known)}
    return fact_material("facts", chosen, _named(edited), others=others, notes=left_out, where=path)


def read_facts_once(
    place: str | PathLike[str], languages: Iterable[Lang] | None = None, source: Lang = "en"
) -> Material:
    """The same with the first edit alone where several want different answers to one prompt."""
    return replace(first_answers(read_facts(place, languages, source)), name="facts-once")


def _row(fields: Fields) -> _Row:
    kind = fields.text("kind")
    if kind not in (KNOWN, WRONG, UNKNOWN):
        raise DataError(f"{fields.where}: field 'kind': {quoted(kind)} is none of {KNOWN}, {WRONG}, {UNKNOWN}")
    prompt, answer, said = fields.inside("prompt"), fields.inside("answer"), fields.inside("said")
    answers = {}
    for lang in fields.texts("langs"):
        first, *others = prompt.texts(lang) or (prompt.text(lang),)
        former = said.maybe(lang) if kind == WRONG else ""
        answers[lang] = FactInLanguage(first, answer.text(lang), rephrases=tuple(others), former=former)
    return _Row(fields.where, fields.text("id"), fields.maybe("true"), kind, answers)


def _named(rows: Sequence[_Row]) -> dict[str, Mapping[Lang, FactInLanguage]]:
    often = Counter(row.id for row in rows)
    named: dict[str, Mapping[Lang, FactInLanguage]] = {}
    for row in rows:
        name = row.id if often[row.id] == 1 or not row.true else f"{row.id}-{row.true}"
        if name in named:
            raise DataError(f"{row.where}: fact {quoted(name)} is there already; give every fact its own id")
        named[name] = row.answers
    return named


def _facts(rows: Iterable[_Row], languages: Iterable[Lang]) -> list[KnownFact]:
    """One fact for each question, in all its wordings and with its first answer."""
    wordings: dict[str, dict[Lang, dict[str, None]]] = {}
    answers: dict[str, dict[Lang, str]] = {}
    for row in rows:
        for lang in languages:
            if one := row.answers.get(lang):
                texts = wordings.setdefault(row.id, {}).setdefault(lang, {})
                texts.update(dict.fromkeys((one.prompt, *one.rephrases)))
                answers.setdefault(row.id, {}).setdefault(lang, one.target)
    return [
        KnownFact(name, {lang: tuple(texts) for lang, texts in by_language.items()}, answers[name])
        for name, by_language in wordings.items()
    ]
