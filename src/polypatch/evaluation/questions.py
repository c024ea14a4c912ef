"""Questions: every text that any metric asks, each predicted once, however often it is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from polypatch.arguments import unknown_label
from polypatch.edits import Text
from polypatch.errors import UnknownLabelError
from polypatch.evaluation.metrics import Correct, Floats, Ints

Predict: TypeAlias = Callable[[Sequence[Text]], tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]]
"""Texts -> class indices (n,) of the unedited and of the edited model, and the latter's probability of its answer."""


@dataclass(frozen=True, eq=False)
class Answers:
    """Class indices per question, each (questions,): what the unedited and the edited model say, and what is right.

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
    """A growing list of (text, gold class); texts are kept once.

    Args:
        labels: class index -> label string, as the model has it.
    """

    def __init__(self, labels: Mapping[int, str]) -> None:
        self._class_of = {label: index for index, label in labels.items()}
        self._texts: dict[Text, int] = {}
        self._rows: list[tuple[int, int]] = []

    def ask(self, text: Text, label: str, where: str) -> int:
        """Add one question; returns its number.

        Raises:
            UnknownLabelError: the model has no class `label`; the message names `where` it stood.
        """
        if label not in self._class_of:
            advice = unknown_label(label, self._class_of)
            raise UnknownLabelError(f"{where}: {label!r} is not a label of the model; {advice}")
        self._rows.append((self._texts.setdefault(text, len(self._texts)), self._class_of[label]))
        return len(self._rows) - 1

    def answer(self, predict: Predict) -> Answers:
        """Ask the model every distinct text, in one call, and spread the answers over the questions."""
        rows = np.asarray(self._rows, dtype=np.int64).reshape(-1, 2)
        if not self._texts:
            return Answers(rows[:, 0], rows[:, 0], rows[:, 1], np.zeros(0))
        *said, confidence = predict(list(self._texts))
        before, after = (np.asarray(one, dtype=np.int64) for one in said)
        if before.shape != (len(self._texts),) or after.shape != before.shape:
            raise ValueError(f"{len(self._texts)} texts were asked, answers have shapes {before.shape}, {after.shape}")
        sure = np.asarray(confidence, dtype=np.float64)[rows[:, 0]]
        return Answers(before[rows[:, 0]], after[rows[:, 0]], rows[:, 1], sure)
