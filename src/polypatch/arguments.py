"""Arguments at the boundary: what is no list, text or label is refused by name, with what was meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar

from polypatch.errors import InputError

K = TypeVar("K")

SURROGATE = re.compile("[\ud800-\udfff]")
"""Half of a character, as JSON can spell it: no tokenizer reads it, and no file can hold it."""


def texts_in(given: Any, name: str, *, empty: bool = False) -> list[Any]:
    """Texts, or pairs of texts, as they were given: a list, a column of a table, anything that can be gone through.

    `empty` texts pass where that is said.

    Raises:
        InputError: one string, a table, what is neither a text nor a pair of texts, or texts and pairs together.
    """
    texts = items_in(given, name, '["a text", "another"]')
    for i, text in enumerate(texts):
        if wrong := not_a_text(text, empty=empty):
            raise InputError(f"{name}[{i}] is {wrong}")
    kinds = {isinstance(text, tuple): i for i, text in enumerate(texts)}
    if len(kinds) > 1:
        raise InputError(f"{name} mixes texts and pairs of texts (at {kinds[False]} and {kinds[True]}): give one kind")
    return list(texts)


def text_in(given: Any, name: str = "text") -> Any:
    """One text, or pair of texts, as it was given; it may be empty.

    Raises:
        InputError: what is neither.
    """
    if wrong := not_a_text(given, empty=True):
        raise InputError(f"{name} is {wrong}")
    return given


def not_a_text(text: object, *, pair: bool = True, empty: bool = False) -> str:
    """Why it is no text, nor a `pair` of them; nothing where it is one."""
    for part in text if pair and isinstance(text, tuple) and len(text) == 2 else (text,):
        if not isinstance(part, str):
            kind = "a string, or a tuple of two strings" if pair else "a string"
            return f"{shortened(text)}: {'decode it' if isinstance(part, bytes) else f'a text is {kind}'}"
        if not empty and not part.strip():
            return f"empty, {shortened(text)}: fill it in or leave it out"
        if SURROGATE.search(part):
            return f"{shortened(text)}, with half of a character in it, which no tokenizer reads"
    return ""


def of_type(given: Any, kind: type[K], name: str) -> K | None:
    """What was given, or None.

    Raises:
        InputError: it is something else.
    """
    if not isinstance(given, kind | None):
        raise InputError(f"{name} is {shortened(given)}: give a {kind.__name__}(…)")
    return given


def is_number(value: object) -> bool:
    """Whether it is a whole number: Python's or NumPy's, but not true or false."""
    return hasattr(value, "__index__") and not isinstance(value, bool)


def no_class_name(label: object) -> str:
    """Why it is no name of a class; empty where it is one.

    A class index is refused, too: what number a class has in somebody's data need not be its number in the model.
    """
    if is_number(label):
        return f"the number {label}: give the name of a class, such as model.config.id2label[{label}] if that is meant"
    return not_a_text(label, pair=False)


def unknown_label(label: str, known: Collection[str]) -> str:
    """What to say of a label that is not among the `known` classes, which are in the model's order: which was meant."""
    names = list(known)
    if wrong := no_class_name(label):
        return wrong

    def plain(text: str) -> str:
        return " ".join(text.split()).casefold()

    same = [name for name in names if plain(name) == plain(label)]
    if same:
        return f"only case or spaces differ from {same[0]!r}: write it so"
    if label.strip().isdecimal() and int(label) < len(names):
        return f"labels are names: class {int(label)} is called {names[int(label)]!r}"
    folded = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(label.casefold(), folded, n=3)
    if close:
        return f"closest: {', '.join(repr(folded[name]) for name in close)}"
    first = ", ".join(name[:60] for name in names[:8])
    return f"it has {len(names)}: {first}{', …' if len(names) > 8 else ''}"


def near(name: str, names: Collection[str]) -> str:
    """Up to three of `names` that `name` may have been meant for, else the first ones; for messages."""
    close = difflib.get_close_matches(name, names, n=3)
    found = close or list(names)[:3]
    more = ", …" if len(names) > len(found) and not close else ""
    return ", ".join(found) + more if found else "none"


def items_in(given: Any, name: str, example: str) -> tuple[Any, ...]:
    """What a list, or anything else that can be gone through, holds.

    Not a string, which would be its letters, nor a mapping or a table, which would be the names of its columns.

    Raises:
        InputError: one of those, or no list; the message shows `example`.
    """
    if hasattr(given, "columns") and hasattr(given, "to_dict"):  # pandas', which is not imported for this
        raise InputError(f"{name} is a table with the columns {', '.join(map(str, given.columns))}: give one of them")
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise InputError(f"{name} is {shortened(given)}: give a list, such as {example}")
    return tuple(given)


def shortened(value: object) -> str:
    """`value` as Python writes it, cut to 60 characters."""
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:59]}…"
