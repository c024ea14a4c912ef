"""Reads: what patches see of a text, as a recipe says it. Read without waiting for torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

from polypatch.errors import InputError

Reads: TypeAlias = Literal["query", "means"] | tuple[int, ...]
"""The query alone; or what enters some layers too: `MOST` of them, evenly spread, or those of these numbers.

What enters them is read as means over a text's tokens where the text has one answer. Where every position has its own
it is read at the position; ``"means"`` then are the query alone, for the layers say little there of the text before.
"""

MOST = 4
"""Layers, where none are named: the first, the edited one, and as many between."""


def layers_read(reads: Reads, edited: int, count: int) -> tuple[int, ...]:
    """The numbers of the layers that are read beside the query.

    Args:
        reads: which.
        edited: the number of the edited layer.
        count: layers of the model.

    Raises:
        InputError: there is no such layer, or it is above the edited one.
    """
    if reads == "query":
        return ()
    if reads == "means":
        most = min(MOST, edited + 1)
        return tuple(dict.fromkeys(round(i * edited / max(most - 1, 1)) for i in range(most)))
    return tuple(dict.fromkeys(_numbered(number, edited, count) for number in reads))


def _numbered(number: int, edited: int, count: int) -> int:
    place = number + count if number < 0 else number
    if not 0 <= place <= edited:
        raise InputError(f"reads names layer {number}: it should be from 0 to {edited}, the layer that is edited")
    return place


def reads_in(given: object) -> Reads:
    """`reads` as it was given; numbers may be in a text, with commas between them.

    Raises:
        InputError: it is something else.
    """
    if isinstance(given, str) and re.fullmatch(r"\s*-?\d+\s*(,\s*-?\d+\s*)*", given, re.ASCII):
        given = tuple(map(int, given.split(",")))
    if given in ("query", "means"):
        return given
    if isinstance(given, Sequence) and given and all(type(one) is int for one in given):
        return tuple(given)
    raise InputError(f"reads is {given!r}: give 'query', 'means', or the numbers of layers, such as (0, 4, 8)")
