"""Row: one position that is read of one pass; and what is asked of rows. Below the readout there is nothing else.

A token of a causal language model is a classification of its prefix: class and token are one word here, an id.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import NamedTuple

from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One position that is read.

    Attributes:
        tokens: the pass it belongs to, without padding.
        place: the position.
        context: segment ids of a pair, of the same length as `tokens`, empty where the model has none; or the text that
            `tokens` are written about.
        via: the map that its query goes through, by name; empty for none.
        key: 32 bytes that stand for all of that: two rows are one where their keys are.
    """

    tokens: tuple[int, ...]
    place: int
    context: tuple[int, ...] = ()
    via: str = ""
    key: bytes = field(init=False, repr=False)  # worked out once: rows are looked up far more often than made

    def __post_init__(self) -> None:
        sizes = struct.pack("<4q", len(self.tokens), self.place, len(self.context), len(self.via))
        numbers = struct.pack(f"<{len(self.tokens)}q{len(self.context)}q", *self.tokens, *self.context)
        object.__setattr__(self, "key", hashlib.sha256(sizes + numbers + self.via.encode()).digest())

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Row) and self.key == other.key

    @property
    def origin(self) -> Row:
        """The row that is read; this one, unless its query is mapped."""
        return replace(self, via="") if self.via else self


class Question(NamedTuple):
    """Rows and the ids that are wanted of them: what is asked of an example, which is right when all are said.

    Attributes:
        rows: one for a class; one for each token of an answer.
        wanted: as many ids.
    """

    rows: tuple[Row, ...]
    wanted: tuple[int, ...]


class Queries(NamedTuple):
    """What a site reads of n rows, and what its layer's output needs beside the feed-forward layer's.

    Attributes:
        q: [n, D], the input of the feed-forward layer in the first d, and what else is read (`polypatch.sites.beside`).
        rest: [n, d], what its output is added to; None where that is its input.
    """

    q: Tensor
    rest: Tensor | None = None

    def at(self, rows: Tensor | slice) -> Queries:
        """Some of them."""
        return Queries(self.q[rows], None if self.rest is None else self.rest[rows])


class Said(NamedTuple):
    """What a model says to n rows.

    Attributes:
        ids: the likeliest id of each [n].
        probability: of that id, or of the id that was wanted [n], in float64; 0 where logits are not finite numbers.
    """

    ids: Tensor
    probability: Tensor


class Spoken(NamedTuple):
    """A model's answers to n texts.

    Attributes:
        answers: labels, or what it writes.
        probability: of each [n], in float64; 0 where logits are not finite numbers.
    """

    answers: list[str]
    probability: Tensor


class Standpoint(NamedTuple):
    """A model with some change, as a readout asks it.

    Attributes:
        said: what it says to rows.
        edited: inside, the model itself is the one with the change.
        bare: inside, it is the one without.
        changed: whether there is any change.
    """

    said: Callable[[Sequence[Row]], Said]
    edited: Callable[[], AbstractContextManager[None]]
    bare: Callable[[], AbstractContextManager[None]]
    changed: bool


def flat(questions: Iterable[Question]) -> Question:
    """All rows of several questions, and all ids that are wanted of them, one after the other."""
    pairs = [(row, wanted) for question in questions for row, wanted in zip(*question, strict=True)]
    return Question(tuple(row for row, _ in pairs), tuple(wanted for _, wanted in pairs))


def answered_right(questions: Sequence[Question], said: Said) -> list[bool]:
    """Which questions are answered right, all their rows having been asked one after the other: every id is said."""
    wanted = [i for question in questions for i in question.wanted]
    flags = [one == other for one, other in zip(said.ids.tolist(), wanted, strict=True)]
    return by_question(flags, [question.rows for question in questions])


def by_question(flags: Sequence[bool], parts: Iterable[Sequence[object]]) -> list[bool]:
    """Whether all flags of a part hold, per part, the flags of all parts standing one after the other."""
    rest = iter(flags)
    return [all(tuple(islice(rest, len(part)))) for part in parts]
