"""How a message shows what it found: in one line, and short, whatever was found."""

from __future__ import annotations

import reprlib
from collections.abc import Collection

_LONGEST = 60
_NAMES = 8
_VALUES = reprlib.Repr()
_VALUES.maxlevel = 2  # repr() itself fails on a list that is nested as deep as JSON may be


def quoted(value: object) -> str:
    """`value` as Python writes it, cut to 60 characters."""
    return cut(repr(value[: _LONGEST + 1]) if isinstance(value, str) else _VALUES.repr(value))


def cut(text: str) -> str:
    """`text`, or its beginning and three dots."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def listed(names: Collection[str]) -> str:
    """The first eight names with commas between them, ``none`` where there are none."""
    first = ", ".join(cut(name) for name in list(names)[:_NAMES])
    return f"{first}, …" if len(names) > _NAMES else first or "none"
