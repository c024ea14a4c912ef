"""Guard: a budget for what one edit may cost elsewhere, watched on texts that no edit is trained with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from polypatch.arguments import texts_in
from polypatch.edits import Text
from polypatch.errors import InputError
from polypatch.settings import Settings, between
from polypatch.sites import UNCHANGED, Change, Row, Tail
from polypatch.sites.rows import by_question


@dataclass(frozen=True)
class Guard(Settings):
    """Roll an edit back that changes too many answers.

    Attributes:
        probe: held-out texts, best in every language that is served; no labels are needed.
        max_locality_drop: percentage points of agreement with the unedited model on `probe` that one edit may cost. A
            language model agrees on a text where it says the same at every position, and writes the same behind it.

    Raises:
        InputError: no texts, or what is no list of texts; a budget that is none.
    """

    probe: Sequence[Text]
    max_locality_drop: Annotated[float, between(0, 100)]

    def __post_init__(self) -> None:
        object.__setattr__(self, "probe", texts_in(self.probe, "probe"))
        if not self.probe:
            raise InputError("a guard needs probe texts")
        super().__post_init__()


class Watchman:
    """A guard at work on one model: remembers the agreement from edit to edit."""

    def __init__(self, guard: Guard, tail: Tail, change: Change) -> None:
        self.guard, self.tail = guard, tail
        self.kept = _kept(tail, guard.probe)
        self.original = self._answers(UNCHANGED)
        self.agreement = self.latest = self._agreement(change)

    def drop(self, change: Change) -> float:
        """Percentage points of agreement lost since the last `settle`."""
        self.latest = self._agreement(change)
        return self.agreement - self.latest

    def over_budget(self, drop: float) -> bool:
        """Whether that is more than one edit may cost."""
        # A hair above the budget is rounding: agreements are multiples of 100 / len(probe).
        return drop > self.guard.max_locality_drop + 1e-9

    def settle(self) -> None:
        """The edit that was looked at last is in the model now."""
        self.agreement = self.latest

    def _answers(self, change: Change) -> Tensor:
        return self.tail.said([row for rows in self.kept for row in rows], change).ids

    def _agreement(self, change: Change) -> float:
        same = by_question((self._answers(change) == self.original).tolist(), self.kept)
        return 100.0 * sum(same) / len(same)


def _kept(tail: Tail, texts: Sequence[Text]) -> list[tuple[Row, ...]]:
    """The rows of each text and of its unedited answer: of a classifier they are the same."""
    pairs = zip(tail.readout.keep(texts), tail.answer_rows(texts, UNCHANGED), strict=True)
    return [tuple(dict.fromkeys((*own, *answer))) for own, answer in pairs]
