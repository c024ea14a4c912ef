"""Files of texts: a memory for data that has none, such as your own edits in JSON Lines; and probe texts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from polypatch.data import EditingData
from polypatch.data.files import read_lines
from polypatch.edits import Lang, Text, is_lang
from polypatch.errors import DataError
from polypatch.files import strict_json

HELD_OUT = 5
"""Every so many-th text watches the stopping rule instead of being trained with."""


class Probe(NamedTuple):
    """A text, its language, and its label where that is known."""

    lang: Lang
    text: Text
    label: str | None = None


def read_memory(path: Path, source: Lang) -> dict[Lang, list[Text]]:
    """Texts by language: a line is a text in `source`; in a ``.jsonl`` file it is ``{"lang", "text"}``.

    Raises:
        DataError: an unreadable or empty file, or a line that is not such an object.
    """
    memory: dict[Lang, dict[Text, None]] = {}
    for row in read_probe(path, source):
        memory.setdefault(row.lang, {})[row.text] = None
    return {lang: list(texts) for lang, texts in memory.items()}


def read_probe(path: Path, source: Lang) -> list[Probe]:
    """As `read_memory`, every text once and with its ``"label"`` where a line of the ``.jsonl`` file has one.

    Raises:
        DataError: as `read_memory`; or one text with two labels.
    """
    lines = [(number, line) for number, line in enumerate(read_lines(path), start=1) if line.strip()]
    if not lines:
        raise DataError(f"{path}: holds no texts")
    if ".jsonl" not in path.suffixes:
        return list(dict.fromkeys(Probe(source, line.strip()) for _, line in lines))
    found: dict[tuple[Lang, Text], Probe] = {}
    for number, line in lines:
        row = _row(line, where := f"{path} row {number}")
        known = found.setdefault((row.lang, row.text), row)
        if known.label != row.label and None not in (known.label, row.label):
            raise DataError(f"{where}: the label is {row.label!r}, and was {known.label!r} for the same text before")
        found[row.lang, row.text] = known if row.label is None else row
    return list(found.values())


def with_memory(data: EditingData, memory: Mapping[Lang, Sequence[Text]]) -> EditingData:
    """`data` with this memory in place of its own; texts of the edits are left out, for they are to change."""
    edited = {text for edit in data.edits for text in edit.prompt.values()}
    edited |= {text for edit in data.edits for row in edit.rephrases.values() for text in row}
    free = {lang: [text for text in texts if text not in edited] for lang, texts in memory.items()}
    return replace(
        data,
        memory={lang: [text for i, text in enumerate(texts) if i % HELD_OUT] for lang, texts in free.items()},
        validation={lang: texts[::HELD_OUT] for lang, texts in free.items()},
    )


def _readable(part: object) -> bool:
    """Text that a tokenizer can read: not blank, and without half a surrogate pair, which JSON can spell."""
    return isinstance(part, str) and bool(part.strip()) and not re.search("[\ud800-\udfff]", part)


def _row(line: str, where: str) -> Probe:
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
    return Probe(lang, text, label)
