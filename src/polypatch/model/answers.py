"""Answers of the unedited and of the edited model, from the tail: what all figures are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from polypatch.edits import Text
from polypatch.sites import UNCHANGED, Asked, Change


class Answered(NamedTuple):
    """One entry per text.

    Attributes:
        before, after: answers of the unedited and of the edited model [n].
        confidence: the probability that the edited model gives its answer [n]; 0 where its numbers are not finite.
    """

    before: NDArray[np.object_]
    after: NDArray[np.object_]
    confidence: NDArray[np.float64]


SLICE = 2048
"""So many texts are asked at a time: those of one slice are encoded once, though nothing be kept of them."""


def answered(tail: Asked, change: Change, texts: Sequence[Text]) -> Answered:
    """What the model says to `texts` without and with `change`."""
    parts = [_answered(tail, change, texts[i : i + SLICE]) for i in range(0, max(len(texts), 1), SLICE)]
    return Answered(*map(np.concatenate, zip(*parts, strict=True)))


def _answered(tail: Asked, change: Change, texts: Sequence[Text]) -> Answered:
    before, after = (tail.predict(texts, one) for one in (UNCHANGED, change))
    return Answered(_array(before.answers), _array(after.answers), after.probability.numpy())


def _array(answers: Sequence[str]) -> NDArray[np.object_]:
    return np.array(answers, dtype=object).reshape(len(answers))
