"""Editor: how a change is learned. It sees rows, the ids that are wanted of them, and a tail, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol, TypeAlias, TypeVar

import torch

from polypatch.deltas import Delta
from polypatch.editors.memory import Memory
from polypatch.errors import UnsupportedModelError
from polypatch.settings import Range, at_least, between
from polypatch.sites import FeedForwardSite, Row, Tail

D = TypeVar("D", bound=Delta)

Rate: TypeAlias = Annotated[float, Range(0, 1e4, without_least=True)]
"""A learning rate."""

Weight: TypeAlias = Annotated[float, at_least(0)]
"""Of a term of a loss, a penalty or a threshold."""

Steps: TypeAlias = Annotated[int, at_least(0)]
"""Of training."""

Copies: TypeAlias = Annotated[int, between(0, 4096)]
"""Of one text, as dropout views or in the memory; of more than that a slip of the hand would fill the machine."""

Repeats: TypeAlias = Annotated[int, between(1, 4096)]
"""Of one text in a batch."""


def _unknown(row: int) -> None:
    del row


@dataclass(frozen=True)
class Lesson:
    """What one edit is learned from.

    Attributes:
        owner: the edit's id, written beside the neuron.
        rows: every row that may be drawn; the first is the one being corrected.
        wanted: the id that each should say.
        draw: the positions in `rows` to train on at the next step. Called once per step; a sampler that draws once
            returns the same positions every time.
        generator: the edit's own random numbers.
        index: which token of its answer each row is to say, from 0; empty where every answer is one.
        subject: the position in a row's text of the last token of what the text is about; None where nobody knows it.
        groups: a number of each row's text, the same for texts of a kind in every lesson; opaque here, empty for none.
    """

    owner: str
    rows: Sequence[Row]
    wanted: Sequence[int]
    draw: Callable[[], Sequence[int]]
    generator: torch.Generator
    index: Sequence[int] = ()
    subject: Callable[[int], int | None] = _unknown
    groups: Sequence[int] = ()

    @property
    def written(self) -> bool:
        """Whether answers have several tokens."""
        return any(self.index)

    def firsts(self, picks: Sequence[int]) -> list[int]:
        """Where among some rows those stand that begin an answer."""
        return [i for i, pick in enumerate(picks) if not self.index or self.index[pick] == 0]

    def whole(self, firsts: Collection[int], picks: Sequence[int]) -> list[int]:
        """Those of some rows that are of the answers that begin with `firsts`."""
        return [pick for pick in picks if self._first(pick) in firsts]

    def shares(self, picks: Sequence[int]) -> torch.Tensor:
        """How much each of some rows counts: one over the tokens of its answer, and over the number of texts."""
        firsts = [self._first(pick) for pick in picks]
        sizes = torch.tensor([firsts.count(first) for first in firsts], dtype=torch.float64)
        return 1 / sizes / len(set(firsts))

    def _first(self, pick: int) -> int:
        """Where the answer begins that a row is of."""
        return pick - (self.index[pick] if self.index else 0)


@dataclass(frozen=True)
class Fit:
    """How the training of one edit ended.

    Attributes:
        steps: optimiser steps taken.
        drawn: the positions in `Lesson.rows` that were trained on, in order of first use.
        reason: why training was given up; empty where the stopping rule was met.
    """

    steps: int
    drawn: tuple[int, ...]
    reason: str = ""


class Editor(Protocol):
    """A frozen dataclass of hyper-parameters with two methods."""

    @property
    def exact(self) -> bool:
        """Whether it needs full forward passes because its change reaches outside the FFN."""
        ...

    @property
    def memory_copies(self) -> int:
        """How often each row of a finished edit counts in the memory of the next ones; 0: past edits stay out."""
        ...

    @property
    def protects_right(self) -> bool:
        """Whether edits that needed no change join the memory, too: else a later one may break them unnoticed."""
        ...

    def start(self, site: FeedForwardSite) -> Delta:
        """The empty change that edits will grow."""
        ...

    def learn(self, delta: Delta, lesson: Lesson, tail: Tail, memory: Memory) -> Fit:
        """Learn one lesson: `delta` holds the result afterwards, whether it took or not (the loop checks).

        The loop, not the editor, puts the lesson's rows into the memory afterwards.
        """
        ...


def expect(kind: type[D], delta: Delta, editor: Editor) -> D:
    """The delta, which an editor's `start` made.

    Raises:
        UnsupportedModelError: another editor's did.
    """
    if not isinstance(delta, kind):
        raise UnsupportedModelError(f"{type(editor).__name__} grows a {kind.__name__}, not a {type(delta).__name__}")
    return delta


class Drawn:
    """Calls `Lesson.draw` and remembers, in order of first use, what came up."""

    def __init__(self, lesson: Lesson) -> None:
        self._draw = lesson.draw
        self._seen: dict[int, None] = {}

    def __call__(self) -> list[int]:
        """The positions to train on at this step."""
        picks = list(self._draw())
        self._seen.update(dict.fromkeys(picks))
        return picks

    @property
    def seen(self) -> tuple[int, ...]:
        """All positions drawn so far."""
        return tuple(self._seen)
