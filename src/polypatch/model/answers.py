"""Answers of the unedited and of the edited model, from the tail: what all figures are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from polypatch.edits import Text
from polypatch.sites import UNCHANGED, Asked, Change, Said


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
    rows = tail.readout.rows(texts)
    before, after = tail.said(rows, UNCHANGED), tail.said(rows, change)
    return Answered(_answers(tail, before), _answers(tail, after), after.probability.numpy())


def _answers(tail: Asked, said: Said) -> NDArray[np.object_]:
    return np.array([tail.readout.answer([i]) for i in said.ids.tolist()], dtype=object)
