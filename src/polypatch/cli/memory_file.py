"""A file of memory texts, for data that has none: your own edits in JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from polypatch.data import EditingData
from polypatch.data.files import read_lines
from polypatch.edits import Lang, Text
from polypatch.errors import DataError

HELD_OUT = 5
"""Every so many-th text watches the stopping rule instead of being trained with."""


def read_memory(path: Path, source: Lang) -> dict[Lang, list[Text]]:
    """Texts by language: a line is a text in `source`; in a ``.jsonl`` file it is ``{"lang", "text"}``.

    Raises:
        DataError: an unreadable or empty file, or a line that is not such an object.
    """
    lines = [(number, line) for number, line in enumerate(read_lines(path), start=1) if line.strip()]
    if not lines:
        raise DataError(f"{path}: holds no texts")
    if ".jsonl" not in path.suffixes:
        return {source: list(dict.fromkeys(line.strip() for _, line in lines))}
    memory: dict[Lang, dict[Text, None]] = {}
    for number, line in lines:
        lang, text = _row(line, f"{path} row {number}")
        memory.setdefault(lang, {})[text] = None
    return {lang: list(texts) for lang, texts in memory.items()}


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


def _row(line: str, where: str) -> tuple[Lang, Text]:
    try:
        row = json.loads(line)
        lang, text = row["lang"], row["text"]
    except (ValueError, KeyError, TypeError):
        raise DataError(f'{where}: expected an object with "lang" and "text", found {line[:60]!r}') from None
    if isinstance(text, list) and len(text) == 2:
        text = tuple(text)
    parts = text if isinstance(text, tuple) else (text,)
    if not isinstance(lang, str) or not all(isinstance(part, str) and part.strip() for part in parts):
        raise DataError(f'{where}: "lang" must be a code such as "en", "text" a text or a pair of texts')
    return lang, text
