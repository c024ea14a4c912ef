"""Questions: every text that any metric asks, each predicted once, however often it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from polypatch.arguments import unknown_label
from polypatch.edits import Text
from polypatch.errors import UnknownLabelError
from polypatch.evaluation.metrics import Correct, Floats, Ints

Predict: TypeAlias = Callable[[Sequence[Text]], tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]]
"""Texts -> answers (n,) of the unedited and of the edited model, and the latter's probability (n,) of its answer."""


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers per question as numbers, each (questions,): of the unedited and of the edited model, and what is right.

    Equal answers have equal numbers, which mean nothing else.
    `confidence` is the probability that the edited model gives its answer.
    """

    before: Ints
    after: Ints
    gold: Ints
    confidence: Floats

    @property
    def right_before(self) -> Correct:
        """(questions,) 1 where the unedited model is right, else 0."""
        return np.asarray(self.before == self.gold, dtype=np.int8)

    @property
    def right_after(self) -> Correct:
        """(questions,) 1 where the edited model is right, else 0."""
        return np.asarray(self.after == self.gold, dtype=np.int8)


class Questions:
    """A growing list of (text, right answer); texts are kept once.

    Args:
        known: all that the model can answer; empty where it writes freely.
    """

    def __init__(self, known: Iterable[str]) -> None:
        self._known = frozenset(known)
        self._numbers: dict[str, int] = {}
        self._texts: dict[Text, int] = {}
        self._rows: list[tuple[int, int]] = []

    def ask(self, text: Text, label: str, where: str) -> int:
        """Add one question; returns its number.

        Raises:
            UnknownLabelError: the model has no class `label`; the message names `where` it stood.
        """
        if self._known and label not in self._known:
            advice = unknown_label(label, sorted(self._known))
            raise UnknownLabelError(f"{where}: {label!r} is not a label of the model; {advice}")
        self._rows.append((self._texts.setdefault(text, len(self._texts)), self._number(label)))
        return len(self._rows) - 1

    def answer(self, predict: Predict) -> Answers:
        """Ask the model every distinct text, in one call, and spread the answers over the questions."""
        rows = np.asarray(self._rows, dtype=np.int64).reshape(-1, 2)
        if not self._texts:
            return Answers(rows[:, 0], rows[:, 0], rows[:, 1], np.zeros(0))
        *said, confidence = predict(list(self._texts))
        before, after = (np.array([self._number(answer) for answer in one], dtype=np.int64) for one in said)
        if before.shape != (len(self._texts),) or after.shape != before.shape:
            raise ValueError(f"{len(self._texts)} texts were asked, answers have shapes {before.shape}, {after.shape}")
        sure = np.asarray(confidence, dtype=np.float64)[rows[:, 0]]
        return Answers(before[rows[:, 0]], after[rows[:, 0]], rows[:, 1], sure)

    def _number(self, answer: str) -> int:
        return self._numbers.setdefault(answer, len(self._numbers))
