"""Labelled training rows from files: one reader per format, the folders being those that `polypatch.data` reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from polypatch.data.files import find_table, read_lines, require_table
from polypatch.data.massive import read_massive
from polypatch.data.quoting import listed, quoted
from polypatch.data.rows import CorpusRow, choose_languages
from polypatch.data.xnli import aligned, read_labels, read_pairs
from polypatch.edits import Lang, Text
from polypatch.errors import DataError
from polypatch.files import strict_json


class TrainingRow(NamedTuple):
    """One text, its label, its language; rows of one `group` say the same and stay on one side of a split."""

    text: Text
    label: str
    lang: Lang
    group: str


CorpusReader: TypeAlias = Callable[[str, str, Sequence[Lang]], list[TrainingRow]]
"""(place, part, languages or nothing for the format's default) -> rows."""

_TEXT_FIELDS = ("text", "claim")  # the second is FEVER's own name for it


def read_part(spec: str, part: str, languages: Sequence[Lang] = ()) -> list[TrainingRow]:
    """The rows of one part (``train``, ``dev``) of ``format:place``; a JSON Lines file has no parts.

    Args:
        spec: ``jsonl:FILE``, ``xnli:FOLDER`` or ``massive:FOLDER``.
        part: which part of a folder.
        languages: those to read; without any all that a JSON Lines file has, and of a folder English.

    Raises:
        DataError: an unknown format, a broken or missing file, no such part, or a language without rows.
    """
    name, _, place = spec.partition(":")
    if name not in READERS:
        raise DataError(f"unknown training data {spec!r}; write one of {', '.join(f'{known}:…' for known in READERS)}")
    if not place:
        raise DataError(f"training data {spec!r} name no place; write {name}:PLACE")
    if part == "test":
        raise DataError(f"{place}: 'test' is what polypatch edit edits, so it is not trained on; take train or dev")
    return READERS[name](place, part, languages)


def _read_jsonl(place: str, _part: str, languages: Sequence[Lang]) -> list[TrainingRow]:
    path = Path(place)
    rows = [
        _from_record(strict_json(line.encode(), f"{path} row {number}", DataError), f"{path} row {number}")
        for number, line in enumerate(read_lines(path), start=1)
        if line.strip()
    ]
    if not rows:
        raise DataError(f"{path}: holds no rows")
    has = dict.fromkeys(row.lang for row in rows)
    chosen = choose_languages(tuple(languages or has), has, source=(*languages, *has)[0], where=path)
    return [row for row in rows if row.lang in chosen]


def _from_record(record: Any, where: str) -> TrainingRow:
    if not isinstance(record, dict):
        raise DataError(f'{where}: {quoted(record)} is not an object; write {{"text": …, "label": …}}')
    text = _text_of(record, where)
    label, lang = record.get("label"), record.get("lang", "en")
    for name, value in (("label", label), ("lang", lang)):
        if not (isinstance(value, str) and value.strip()):
            raise DataError(f"{where}: field '{name}': {quoted(value)} is not text; fill it in")
    group = record.get("id", text if isinstance(text, str) else text[0])
    return TrainingRow(text, str(label), str(lang), str(group))


def _text_of(record: Mapping[str, Any], where: str) -> Text:
    single = [name for name in _TEXT_FIELDS if name in record][:1]
    names = single or ["premise", "hypothesis"]
    for name in names:
        if not (isinstance(record.get(name), str) and record[name].strip()):
            raise DataError(f"{where}: field {name!r}: {quoted(record.get(name))} is not text; fill it in")
    return record[names[0]] if single else (record[names[0]], record[names[1]])


def _read_xnli(place: str, part: str, languages: Sequence[Lang]) -> list[TrainingRow]:
    folder = Path(place)
    if part == "train" and folder.is_dir() and find_table(folder, "train.labels") is None:
        raise DataError(
            f"{folder}: no train.labels.tsv.gz (XNLI itself has none, MultiNLI's go there); "
            f"or train on a share of dev by --split dev=0.8"
        )
    labels = read_labels(require_table(folder, f"{part}.labels"))
    has = sorted({file.name.removeprefix(f"{part}-").split(".")[0] for file in folder.glob(f"{part}-*.tsv*")})
    asked = languages or ("en",)
    chosen = choose_languages(asked, has, source=asked[0], where=folder)
    pairs = {lang: read_pairs(require_table(folder, f"{part}-{lang}"), labels) for lang in chosen}
    return _flat(aligned(part, labels, pairs, folder))


def _read_massive(place: str, part: str, languages: Sequence[Lang]) -> list[TrainingRow]:
    asked = languages or ("en",)
    material = read_massive(place, asked, source=asked[0])
    parts = {"train": material.train, "dev": material.held_out}
    if not parts.get(part):
        raise DataError(f"{place}: no rows in part {quoted(part)} (has: {listed([n for n in parts if parts[n]])})")
    return _flat(parts[part])


def _flat(rows: Iterable[CorpusRow]) -> list[TrainingRow]:
    """A training row per language. XNLI has three hypotheses to a premise: they are one group."""
    found = []
    for row in rows:
        first = next(iter(row.text.values()))
        group = first if isinstance(first, str) else first[0]
        found += [TrainingRow(text, row.label, lang, group) for lang, text in row.text.items()]
    return found


READERS: Mapping[str, CorpusReader] = {"jsonl": _read_jsonl, "xnli": _read_xnli, "massive": _read_massive}
"""Format -> reader."""
