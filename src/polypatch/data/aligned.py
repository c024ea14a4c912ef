"""A file of parallel text: unlabelled texts that say the same, to map queries by."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from polypatch.data.files import read_lines
from polypatch.edits import Lang, is_lang
from polypatch.errors import DataError
from polypatch.files import strict_json


def read_aligned(path: Path, source: Lang) -> dict[Lang, list[str]]:
    """Texts by language, the source first: a line is ``{"en": "…", "de": "…"}``, with the languages of the first line.

    Raises:
        DataError: an unreadable or empty file, a line that is not such an object, or one that lacks a language.
    """
    lines = [(number, line) for number, line in enumerate(read_lines(path), start=1) if line.strip()]
    if not lines:
        raise DataError(f"{path}: holds no texts")
    rows = [_row(line, f"{path} row {number}") for number, line in lines]
    languages = tuple(rows[0])
    if source not in languages or len(languages) < 2:
        raise DataError(
            f"{path} row {lines[0][0]}: has {', '.join(languages) or 'nothing'}; parallel text must be in the edits' "
            f"language {source!r} and in another one"
        )
    for (number, _), row in zip(lines, rows, strict=True):
        if row.keys() != rows[0].keys():
            raise DataError(f"{path} row {number}: is in {', '.join(row)}, and the first in {', '.join(languages)}")
    return {lang: [row[lang] for row in rows] for lang in (source, *(lang for lang in languages if lang != source))}


def _row(line: str, where: str) -> Mapping[Lang, str]:
    row = strict_json(line.encode(), where, DataError)
    if not isinstance(row, dict):
        raise DataError(f'{where}: expected an object such as {{"en": "…", "de": "…"}}, found {line[:60]!r}')
    for lang, text in row.items():
        if not is_lang(lang) or not isinstance(text, str) or not text.strip():
            raise DataError(f"{where}: {lang!r} must be a code such as 'en', and its value a text, not {text!r}")
    return row
