"""Other people's texts on a terminal: in any script, and with no power over the terminal."""

from __future__ import annotations

import unicodedata

from polypatch.edits import Text

ISOLATE, END = "\u2068", "\u2069"
_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")


def shown(text: Text, most: int | None = None) -> str:
    """One line for people; a right-to-left text keeps to itself, so that what stands beside it stays in its order.

    Args:
        text: a text or a pair.
        most: characters; longer ones are cut.
    """
    one = " / ".join(text) if isinstance(text, tuple) else text
    line = "".join(_harmless(c) for c in " ".join(one.split()))
    if most is not None and len(line) > most:
        line = f"{line[: most - 1]}…"
    right_to_left = any(unicodedata.bidirectional(c) in ("R", "AL", "AN") for c in line)
    return f"{ISOLATE}{line}{END}" if right_to_left else line


def _harmless(c: str) -> str:
    """The character; nothing for one that turns others round, a mark for one that commands the terminal."""
    if c in _DIRECTIONS:
        return ""
    return "\ufffd" if unicodedata.category(c) in ("Cc", "Cs") else c
