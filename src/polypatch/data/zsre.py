"""zsRE and what was made of it: zsRE itself (English), MzsRE (12 languages), Bi-ZsRE (2), BMIKE-53 (53).

All have the fields ``src`` (the question), ``alt`` (the new answer), ``rephrase``, ``subject``, ``loc`` and
``loc_ans`` (an unrelated question), ``port`` and ``port_ans`` or ``portability`` with ``New Question`` and ``New
Answer`` (one that follows), ``old`` or ``pred`` (the answer before). Files with ``train`` in their names are not
edited: they give the memory and the locality set ``known``.

Source: Levy et al. 2017, Yao et al. 2023 (zsRE); Wang et al. 2024 (arXiv:2309.08952, arXiv:2312.13040); Nie et al. 2025
(arXiv:2406.17764).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path

from polypatch.data.by_language import json_files, read_by_language
from polypatch.data.fact_edits import NEAR, ONE_HOP, FactInLanguage, QuestionAndAnswer, fact_material
from polypatch.data.fields import Fields
from polypatch.data.files import find_table, read_lines
from polypatch.data.rows import KnownFact, Material, choose_languages
from polypatch.edits import Lang
from polypatch.errors import DataError

MARK = "nq question: "
"""Before the unrelated questions of zsRE's English files; no part of the question."""

TRAIN10K = "mzsre_train10k"
"""The folder beside MzsRE's with 10,000 other questions: a table ``question  answer`` for each language."""


def read_zsre(place: str | PathLike[str], languages: Iterable[Lang] | None = None, source: Lang = "en") -> Material:
    """The English zsRE in EasyEdit's fields: a file, or a folder of them."""
    return _read("zsre", Path(place), languages, source)


def read_bmike53(place: str | PathLike[str], languages: Iterable[Lang] | None = None, source: Lang = "en") -> Material:
    """One data set of BMIKE-53 (zsRE, CounterFact or WikiFactDiff): a file, or a folder of them."""
    return _read("bmike53", Path(place), languages, source)


def read_mzsre(place: str | PathLike[str], languages: Iterable[Lang] | None = None, source: Lang = "en") -> Material:
    """MzsRE or Bi-ZsRE: a folder of files; the memory is from ``mzsre_train10k`` in or beside it, where that is."""
    folder = Path(place)
    tables = next((path for path in (folder / TRAIN10K, folder.parent / TRAIN10K) if path.is_dir()), None)
    return _read("mzsre", folder, languages, source, tables)


def zsre_fact(row: Fields) -> FactInLanguage:
    """A row as the fact that it tells.

    Raises:
        DataError: no question, no new answer, or a field that is not text.
    """
    loc, port = row.maybe("loc").removeprefix(MARK), row.inside("portability")
    hop = row.maybe("port") or port.maybe("New Question")
    return FactInLanguage(
        prompt=row.text("src"),
        target=row.text("alt"),
        rephrases=row.texts("rephrase"),
        former=row.maybe("old") or row.maybe("pred"),
        subject=row.maybe("subject"),
        locality={NEAR: (QuestionAndAnswer(loc, row.maybe("loc_ans")),)} if loc else {},
        portability={ONE_HOP: (QuestionAndAnswer(hop, row.maybe("port_ans") or port.maybe("New Answer")),)}
        if hop
        else {},
    )


def _read(
    name: str, place: Path, languages: Iterable[Lang] | None, source: Lang, tables: Path | None = None
) -> Material:
    paths = json_files(place)
    trained = [path for path in paths if "train" in path.name.lower()] if place.is_dir() else []
    found = read_by_language([path for path in paths if path not in trained], source)
    chosen = choose_languages(languages, found.languages, source=source, where=place)
    facts = {
        f"{name}-{key}": {lang: zsre_fact(row) for lang, row in rows.items() if lang in chosen}
        for key, rows in found.rows.items()
    }
    others = _questions(tables, chosen) if tables is not None else _facts(trained, chosen)
    return fact_material(name, chosen, facts, others=others, notes=found.left_out, where=place)


def _facts(paths: Iterable[Path], languages: tuple[Lang, ...]) -> list[KnownFact]:
    """The facts of training files, with the answers before any edit where they are told."""
    rows = read_by_language(paths, languages[0]).rows
    return [_fact(key, {lang: row[lang] for lang in languages if lang in row}) for key, row in rows.items()]


def _fact(key: str, rows: Mapping[Lang, Fields]) -> KnownFact:
    wordings = {lang: (row.text("src"), *row.texts("rephrase")) for lang, row in rows.items()}
    answers = {lang: row.maybe("old") or row.maybe("answers") for lang, row in rows.items()}
    return KnownFact(key, wordings, {lang: answer for lang, answer in answers.items() if answer})


def _questions(folder: Path, languages: tuple[Lang, ...]) -> list[KnownFact]:
    """Tables with one row for each question in every language; a row may lack its answer."""
    tables = {lang: path for lang in languages if (path := find_table(folder, lang)) is not None}
    columns = {lang: _table(path) for lang, path in tables.items()}
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        counts = ", ".join(f"{lang} {len(column)}" for lang, column in columns.items())
        raise DataError(f"{folder}: the languages are not aligned; they have {counts} rows")
    return [
        KnownFact(
            str(i),
            {lang: (column[i].prompt,) for lang, column in columns.items()},
            {lang: column[i].answer for lang, column in columns.items() if column[i].answer},
        )
        for i in range(max(lengths, default=0))
    ]


def _table(path: Path) -> list[QuestionAndAnswer]:
    rows = []
    for number, line in enumerate(read_lines(path), start=1):
        question, _, answer = line.partition("\t")
        if not question.strip() or "\t" in answer:
            raise DataError(f"{path} row {number}: expected a question, and its answer behind a tab")
        rows.append(QuestionAndAnswer(question, answer.strip()))
    return rows
