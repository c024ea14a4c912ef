"""The memory as people give it: texts, texts by language, or a file of them; and files of probe texts.

Every tenth text of a language is held out: neither training nor any look at the memory sees it, so that what edits cost
elsewhere can be said.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import NamedTuple, TypeAlias

from polypatch.arguments import shortened, texts_in
from polypatch.data.base import EditingData
from polypatch.data.csv_file import read_csv_rows
from polypatch.data.files import read_lines
from polypatch.edits import Lang, Text, is_lang
from polypatch.errors import DataError, InputError
from polypatch.files import strict_json
from polypatch.languages import languages_in, not_a_lang

STOPPING = 5
"""Every so many-th text watches the stopping rule instead of being trained with."""

HELD_OUT = 10
"""Every so many-th text of a language is held out; a language with fewer has none."""

Texts: TypeAlias = "Sequence[Text] | Mapping[Lang, Sequence[Text]] | str | PathLike[str]"
"""Texts, texts by language, or the path of a file."""


@dataclass(frozen=True)
class MemoryTexts:
    """A memory whose parts are given one by one.

    Attributes:
        train: what edits are trained with, or looked at with.
        validation: what watches the stopping rule; None for every fifth text of `train`, which is left out there then.
        held_out: by language, what nothing sees but the measuring of cost; None for every tenth text of a language in
            `train`, which is left out there then.
        parallel: texts that say the same in every language, the source's first, for `SourcePlusMapped`.
    """

    train: Texts = ()
    validation: Texts | None = None
    held_out: Mapping[Lang, Sequence[Text]] | None = None
    parallel: Mapping[Lang, Sequence[Text]] | None = None


Given: TypeAlias = "Texts | MemoryTexts"
"""What people may give as a memory."""


@dataclass(frozen=True)
class Kept:
    """The texts of a memory, parted.

    Attributes:
        train: what edits are trained with, or looked at with.
        validation: what watches the stopping rule.
        held_out: by language (the empty string where it is not known), what nothing sees but the measuring of cost.
        parallel: texts that say the same in every language; None where there are none.
        langs: the language of the others, where it is known.
        file: where all of them came from, if from one file.
    """

    train: Sequence[Text] = ()
    validation: Sequence[Text] = ()
    held_out: Mapping[Lang, Sequence[Text]] = field(default_factory=dict)
    parallel: Mapping[Lang, Sequence[Text]] | None = None
    langs: Mapping[Text, Lang] = field(default_factory=dict, repr=False)
    file: Path | None = None

    def read(self) -> Kept:
        """The texts: these; a `MemoryFile` reads them."""
        return self


class ProbeText(NamedTuple):
    """A text, its language, and its label where that is known."""

    lang: Lang
    text: Text
    label: str | None = None


def read_memory(path: Path, source: Lang) -> dict[Lang, list[Text]]:
    """Texts by language: a line is a text in `source`; in a ``.jsonl`` file it is ``{"lang", "text"}``, in
    a ``.csv`` or ``.tsv`` file a row under a header with ``text`` and ``lang``.

    Raises:
        DataError: an unreadable or empty file, or a line that is not such an object.
    """
    memory: dict[Lang, dict[Text, None]] = {}
    for row in read_probe(path, source):
        memory.setdefault(row.lang, {})[row.text] = None
    return {lang: list(texts) for lang, texts in memory.items()}


def read_probe(path: Path, source: Lang) -> list[ProbeText]:
    """As `read_memory`, every text once and with its ``"label"`` where a row has one.

    Raises:
        DataError: as `read_memory`; or one text with two labels.
    """
    return _once(_rows(path, source))


def read_texts(path: Path, source: Lang) -> list[ProbeText]:
    """As `read_probe`, every row as it stands in the file, those that say the same included.

    Raises:
        DataError: as `read_memory`.
    """
    return [row for _, row in _rows(path, source)]


def _rows(path: Path, source: Lang) -> list[tuple[str, ProbeText]]:
    """Where a row stands, and what it says."""
    if Path(path.name.removesuffix(".gz")).suffix in (".csv", ".tsv"):
        rows = list(_from_table(path, source))
    else:
        lines = ((f"{path} row {n}", line) for n, line in enumerate(read_lines(path), start=1) if line.strip())
        as_json = ".jsonl" in path.suffixes
        rows = [(where, _row(line, where) if as_json else ProbeText(source, line.strip())) for where, line in lines]
    if not rows:
        raise DataError(f"{path}: holds no texts")
    return rows


def _from_table(path: Path, source: Lang) -> Iterator[tuple[str, ProbeText]]:
    for where, _, cells in read_csv_rows(path, ("text",), ("lang", "label")):
        lang = cells.get("lang", source)
        if not is_lang(lang):
            raise DataError(f"{where}: {not_a_lang(lang)}")
        yield where, ProbeText(lang, cells["text"], cells.get("label"))


def _once(rows: Iterable[tuple[str, ProbeText]]) -> list[ProbeText]:
    """Every text once, with its label where one row has it."""
    found: dict[tuple[Lang, Text], ProbeText] = {}
    for where, row in rows:
        known = found.setdefault((row.lang, row.text), row)
        if known.label != row.label and None not in (known.label, row.label):
            raise DataError(f"{where}: the label is {row.label!r}, and was {known.label!r} for the same text before")
        found[row.lang, row.text] = known if row.label is None else row
    return list(found.values())


def parted(given: Given) -> Kept:
    """A memory as it was given, parted.

    Raises:
        InputError: neither texts, nor texts by language.
        DataError: a file that is not there, or holds something else.
    """
    memory = given if isinstance(given, MemoryTexts) else MemoryTexts(given)
    if memory.parallel is not None:
        _require_parallel(memory.parallel)
    texts = _by_language(memory.train, "memory")
    train, held_out = (
        _held_out(texts) if memory.held_out is None else (texts, _by_language(memory.held_out, "held_out"))
    )
    flat = [text for rows in train.values() for text in rows]
    if memory.validation is None:
        # One text alone is trained with, and watched: else a memory would count as none.
        trained, watching = [text for i, text in enumerate(flat) if i % STOPPING] or flat, flat[::STOPPING]
        alone = memory.held_out is None and isinstance(memory.train, str | PathLike)
        file = Path(memory.train) if alone else None  # type: ignore[arg-type]  # what was just looked at
        return Kept(trained, watching, held_out, memory.parallel, _langs(train), file)
    rows = _by_language(memory.validation, "validation")
    watching = [text for texts in rows.values() for text in texts]
    return Kept(flat, watching, held_out, memory.parallel, {**_langs(rows), **_langs(train)})


def _require_parallel(parallel: object) -> None:
    if not isinstance(parallel, Mapping):
        raise InputError(f"parallel is {shortened(parallel)}: give texts by language, the edits' own first")
    if len(languages_in(parallel, "parallel")) < 2:
        raise InputError(f"parallel has {', '.join(parallel) or 'nothing'} alone: there is no language to map to")


def _langs(texts: Mapping[Lang, Sequence[Text]]) -> dict[Text, Lang]:
    return {text: lang for lang, row in texts.items() if lang for text in row}


def memory_of_data(
    data: EditingData,
    languages: Iterable[Lang],
    *,
    without: Collection[Text] = (),
    parallel: Mapping[Lang, Sequence[Text]] | None = None,
) -> MemoryTexts:
    """The memory of `data` in these languages, and what it has beside it as held out; texts of `without` are left out.

    Raises:
        DataError: there is no memory in one of the languages.
    """
    train, validation = (
        {lang: [text for text in pooled((lang,)) if text not in without] for lang in languages}
        for pooled in (data.memory_texts, data.validation_texts)
    )
    return MemoryTexts(train, validation, data.others(), parallel)


def require_unlabelled(kept: Kept, labels: Collection[str]) -> None:
    """Refuse rows of texts with labels, which would be read as pairs of texts.

    Raises:
        InputError: the second part of every pair is a label of the model.
    """
    pairs = [text for text in (*kept.train, *kept.validation) if isinstance(text, tuple)]
    if pairs and all(second in labels for _, second in pairs):
        raise InputError(f"memory has labels in it, such as {shortened(pairs[0])}: give the texts alone")


def _held_out(texts: Mapping[Lang, Sequence[Text]]) -> tuple[dict[Lang, list[Text]], dict[Lang, list[Text]]]:
    """Every language without every `HELD_OUT`-th of its texts, and those, where it has any."""
    train = {lang: [text for i, text in enumerate(rows, start=1) if i % HELD_OUT] for lang, rows in texts.items()}
    held_out = {lang: list(rows[HELD_OUT - 1 :: HELD_OUT]) for lang, rows in texts.items()}
    return train, {lang: rows for lang, rows in held_out.items() if rows}


def _by_language(given: Texts, name: str) -> dict[Lang, list[Text]]:
    if isinstance(given, str | PathLike):
        path = Path(given)
        if not path.exists():
            raise DataError(f"{name}={str(given)!r}: no such file; one text alone is given as a list, {name}=[…]")
        return read_memory(path, "")
    if not isinstance(given, Mapping):
        return {"": texts_in(given, name)}
    for lang in given:
        if not is_lang(lang):
            raise DataError(f"{name}: {not_a_lang(lang)}")
    return {lang: texts_in(texts, f"{name}[{lang!r}]") for lang, texts in given.items()}


def probes_in(given: Texts) -> list[ProbeText]:
    """ProbeText texts as they were given: in a file perhaps with their labels.

    Raises:
        InputError, DataError: as `parted`.
    """
    if isinstance(given, str | PathLike) and Path(given).exists():
        return read_probe(Path(given), "")
    return [ProbeText(lang, text) for lang, texts in _by_language(given, "probe").items() for text in texts]


def with_memory(data: EditingData, memory: Mapping[Lang, Sequence[Text]]) -> EditingData:
    """`data` with this memory in place of its own; texts of the edits are left out, for they are to change."""
    edited = {text for edit in data.edits for text in edit.texts}
    edited |= {text for edit in data.edits for row in edit.rephrases.values() for text in row}
    free = {lang: [text for text in texts if text not in edited] for lang, texts in memory.items()}
    parts = {lang: parted(texts) for lang, texts in free.items()}
    return replace(
        data,
        memory={lang: part.train for lang, part in parts.items()},
        validation={lang: part.validation for lang, part in parts.items()},
        held_out={lang: part.held_out[""] for lang, part in parts.items() if part.held_out},
    )


def _readable(part: object) -> bool:
    """Text that a tokenizer can read: not blank, and without half a surrogate pair, which JSON can spell."""
    return isinstance(part, str) and bool(part.strip()) and not re.search("[\ud800-\udfff]", part)


def _row(line: str, where: str) -> ProbeText:
    row = strict_json(line.encode(), where, DataError)
    try:
        lang, text, label = row["lang"], row["text"], row.get("label")
    except (KeyError, TypeError, AttributeError):
        raise DataError(f'{where}: expected an object with "lang" and "text", found {line[:60]!r}') from None
    if isinstance(text, list) and len(text) == 2:
        text = tuple(text)
    parts = text if isinstance(text, tuple) else (text,)
    if not is_lang(lang) or not all(map(_readable, parts)):
        raise DataError(f'{where}: "lang" must be a code such as "en", "text" a text or a pair of texts')
    if label is not None and not isinstance(label, str):
        raise DataError(f'{where}: "label" must be the name of a class, is {label!r}')
    return ProbeText(lang, text, label)
