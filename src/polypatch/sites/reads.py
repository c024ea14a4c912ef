"""Reads: what patches see of a text, as a recipe says it. Read without waiting for torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from polypatch.errors import InputError

Reads: TypeAlias = str | tuple[int, ...]
"""``"query"``, the query alone. ``"means"``, what enters some layers too: `MOST` of them, evenly spread; or those of
these numbers. ``"encoder:NAME"``, the query and the vector that a sentence encoder has of the text. ``"text"``, the
query and the tokens themselves, for editors that let the model read; ``"text:NAME"``, where a sentence encoder says how
near texts are.

What enters them is read as means over a text's tokens where the text has one answer. Where every position has its own
it is read at the position; ``"means"`` then are the query alone, for the layers say little there of the text before.
"""

ENCODER = "encoder:"
"""What stands before the folder or the hub name of a sentence encoder."""

TEXT = "text"
"""The tokens; with a colon and a name behind it, also what a sentence encoder makes of them."""

MOST = 4
"""Layers, where none are named: the first, the edited one, and as many between."""


def layers_read(reads: Reads, edited: int, count: int) -> tuple[int, ...]:
    """The numbers of the layers that are read beside the query.

    Args:
        reads: which.
        edited: the number of the edited layer.
        count: layers of the model.

    Raises:
        InputError: there is no such layer, or it is above the edited one; a sentence encoder, which is no layer.
    """
    if reads == "query" or reads_text(reads):
        return ()
    if reads == "means":
        most = min(MOST, edited + 1)
        return tuple(dict.fromkeys(round(i * edited / max(most - 1, 1)) for i in range(most)))
    if isinstance(reads, str):
        raise InputError(f"reads={reads!r} needs the model's tokenizer: FeedForwardSite(…, sentences=sentences_of(…))")
    return tuple(dict.fromkeys(_numbered(number, edited, count) for number in reads))


def _numbered(number: int, edited: int, count: int) -> int:
    place = number + count if number < 0 else number
    if not 0 <= place <= edited:
        raise InputError(f"reads names layer {number}: it should be from 0 to {edited}, the layer that is edited")
    return place


def reads_in(given: object) -> Reads:
    """`reads` as it was given; numbers may be in a text, with commas between them. A folder is named by its whole path.

    Raises:
        InputError: it is something else.
    """
    if isinstance(given, str) and re.fullmatch(r"\s*-?\d+\s*(,\s*-?\d+\s*)*", given, re.ASCII):
        given = tuple(map(int, given.split(",")))
    if isinstance(given, str) and (given in ("query", "means", TEXT) or encoder_in(given)):
        return _placed(given)
    if isinstance(given, Sequence) and given and all(type(one) is int for one in given):
        return tuple(given)
    raise InputError(
        f"reads is {given!r}: give 'query', 'means', 'encoder:NAME' for a sentence encoder in a folder or on the hub, "
        "the numbers of layers, such as (0, 4, 8), or, for editors that read texts, 'text' or 'text:NAME'"
    )


def encoder_in(reads: object) -> str:
    """The folder or the hub name of the sentence encoder that is read; empty where none is."""
    return _prefix_and_name(reads)[1]


def reads_text(reads: object) -> bool:
    """Whether the tokens themselves are read."""
    return reads == TEXT or _prefix_and_name(reads)[0] == f"{TEXT}:"


def _prefix_and_name(reads: object) -> tuple[str, str]:
    for prefix in (ENCODER, f"{TEXT}:"):
        if isinstance(reads, str) and reads.startswith(prefix):
            return prefix, reads.removeprefix(prefix).strip()
    return "", ""


def _placed(reads: str) -> str:
    """From wherever it is asked for, also in another process, a folder is the same."""
    prefix, name = _prefix_and_name(reads)
    return f"{prefix}{Path(name).resolve()}" if name and Path(name).is_dir() else reads
