"""Arguments at the boundary: a string where a list is meant would be taken apart into its letters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from polypatch.errors import InputError


def languages_in(given: Any, name: str = "languages") -> tuple[str, ...]:
    """Language codes as they were given.

    Raises:
        InputError: one string, or what is no list of strings.
    """
    codes = _items(given, name, '["de", "fr"]')
    for code in codes:
        if not isinstance(code, str):
            raise InputError(f"{name} is a list of language codes, and {_short(code)} is none")
    return codes


def texts_in(given: Any, name: str) -> list[Any]:
    """Texts, or pairs of texts, as they were given.

    Raises:
        InputError: one string, or what is neither a text nor a pair of texts.
    """
    texts = _items(given, name, '["a text", "another"]')
    for i, text in enumerate(texts):
        pair = isinstance(text, tuple) and len(text) == 2
        if not all(isinstance(part, str) for part in (text if pair else (text,))):
            raise InputError(f"{name}[{i}] is {_short(text)}: a text is a string, or a tuple of two strings")
    return list(texts)


def labelled_in(given: Any, name: str = "locality") -> None:
    """Refuse named sets that do not hold (text, label) rows.

    Raises:
        InputError: no mapping, a set that is one string, or a row that is no pair.
    """
    if not isinstance(given, Mapping):
        raise InputError(f'{name} is a mapping such as {{"test": [("a text", "label")]}}, not {_short(given)}')
    for key, rows in given.items():
        for i, row in enumerate(_items(rows, f"{name}[{key!r}]", '[("a text", "label")]')):
            if not (isinstance(row, tuple | list) and len(row) == 2 and isinstance(row[1], str)):
                raise InputError(f"{name}[{key!r}][{i}] is {_short(row)}: a row is (text, label)")


def _items(given: Any, name: str, example: str) -> tuple[Any, ...]:
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise InputError(f"{name} is {_short(given)}: give a list, such as {example}")
    return tuple(given)


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:59]}…"
