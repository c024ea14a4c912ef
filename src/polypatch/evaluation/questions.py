"""Questions: every text that any metric asks, each predicted once, however often it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from polypatch.arguments import unknown_label
from polypatch.edits import Lang, Text
from polypatch.errors import UnknownLabelError
from polypatch.evaluation.match import exact, token_f1
from polypatch.evaluation.metrics import Correct, Floats, Ints
from polypatch.evaluation.spelling import Spelling

Predict: TypeAlias = Callable[[Sequence[Text]], tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]]
"""Texts -> answers (n,) of the unedited and of the edited model, and the latter's probability (n,) of its answer."""


class Wanted(NamedTuple):
    """What is right: the answers that count, the target first, and the language they are in."""

    lang: Lang
    accepted: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers per question as numbers, each (questions,): of the unedited and of the edited model, and what is right.

    Equal answers have equal numbers, which mean nothing else.
    `confidence` is the probability that the edited model gives its answer.
    `texts` are the answers themselves, by number.
    """

    before: Ints
    after: Ints
    gold: Ints
    confidence: Floats
    texts: tuple[str, ...] = ()

    @cached_property
    def right_before(self) -> Correct:
        """(questions,) 1 where the unedited model is right, else 0."""
        return self.right(self.before)

    @cached_property
    def right_after(self) -> Correct:
        """(questions,) 1 where the edited model is right, else 0."""
        return self.right(self.after)

    def right(self, said: Ints) -> Correct:
        """(questions,) 1 where `said` is right, else 0: a label is, where it is the one that is wanted."""
        return np.asarray(said == self.gold, dtype=np.int8)


@dataclass(frozen=True, eq=False)
class Generated(Answers):
    """Answers of a model that writes freely: right is an exact match of normal forms, with the target or an alias."""

    wanted: tuple[Wanted, ...] = ()

    def right(self, said: Ints) -> Correct:
        """(questions,) 1 where `said` matches exactly, else 0."""
        pairs = zip(self.written(said), self.wanted, strict=True)
        return np.array([exact(text, one.accepted, one.lang) for text, one in pairs], dtype=np.int8)

    def f1(self, said: Ints) -> Floats:
        """(questions,) token F1, 0..1, of `said`."""
        pairs = zip(self.written(said), self.wanted, strict=True)
        return np.array([token_f1(text, one.accepted, one.lang) for text, one in pairs], dtype=np.float64)

    def written(self, said: Ints) -> list[str]:
        """The texts of answers."""
        return [self.texts[number] for number in said.tolist()]


class Questions:
    """A growing list of (text, right answer); texts are kept once.

    Args:
        known: all that the model can answer; empty where it writes freely.
        spelling: how it spells what it writes.
    """

    def __init__(self, known: Iterable[str], spelling: Spelling) -> None:
        self._known, self.spelling = frozenset(known), spelling
        self._numbers: dict[str, int] = {}
        self._texts: dict[Text, int] = {}
        self._rows: list[tuple[int, int]] = []
        self._wanted: list[Wanted] = []

    @property
    def free(self) -> bool:
        """Whether the model writes freely."""
        return not self._known

    def ask(self, text: Text, label: str, where: str, lang: Lang, aliases: Iterable[str] = ()) -> int:
        """Add one question in `lang`; returns its number. A model that writes freely may also answer with an alias.

        Raises:
            UnknownLabelError: the model has no class `label`; the message names `where` it stood.
        """
        if self._known and label not in self._known:
            advice = unknown_label(label, sorted(self._known))
            raise UnknownLabelError(f"{where}: {label!r} is not a label of the model; {advice}")
        self._rows.append((self._texts.setdefault(text, len(self._texts)), self._number(label)))
        self._wanted.append(Wanted(lang, self.spelling((label, *aliases))))
        return len(self._rows) - 1

    def answer(self, predict: Predict) -> Answers:
        """Ask the model every distinct text, in one call, and spread the answers over the questions."""
        rows = np.asarray(self._rows, dtype=np.int64).reshape(-1, 2)
        asked, gold = rows[:, 0], rows[:, 1]
        if not self._texts:
            return self._answers(asked, asked, gold, np.zeros(0))
        *said, confidence = predict(list(self._texts))
        before, after = (np.array([self._number(answer) for answer in one], dtype=np.int64) for one in said)
        if before.shape != (len(self._texts),) or after.shape != before.shape:
            raise ValueError(f"{len(self._texts)} texts were asked, answers have shapes {before.shape}, {after.shape}")
        sure = np.asarray(confidence, dtype=np.float64)[asked]
        return self._answers(before[asked], after[asked], gold, sure)

    def _answers(self, before: Ints, after: Ints, gold: Ints, confidence: Floats) -> Answers:
        texts = tuple(self._numbers)
        if self.free:
            return Generated(before, after, gold, confidence, texts, tuple(self._wanted))
        return Answers(before, after, gold, confidence, texts)

    def _number(self, answer: str) -> int:
        return self._numbers.setdefault(answer, len(self._numbers))
