"""Explanation: why the model answers what it answers: which patches fire, whose they are, and what they change."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from polypatch.arguments import shortened
from polypatch.deltas import Delta, Pieces
from polypatch.edits import Text
from polypatch.outcomes import EditRecord
from polypatch.rendering.harmless import one_line
from polypatch.sites import UNCHANGED, Asked

SEVERAL = 10
"""Firing patches for which the answer without each is worked out."""


@dataclass(frozen=True)
class Answer:
    """A label and its probability."""

    label: str
    probability: float

    def __str__(self) -> str:
        return f"{self.label} {self.probability:.2f}"


@dataclass(frozen=True)
class Firing:
    """One patch at work in one text: the edit it belongs to, and how strongly it acts.

    That is act(q·k + b) of a neuron, and 1 − ‖q − k‖ ÷ r of an entry of a codebook.
    """

    edit_id: str
    activation: float


@dataclass(frozen=True)
class Cause:
    """A firing patch and what hangs on it.

    Attributes:
        edit_id: the edit it belongs to.
        activation: how strongly it acts, as in `Firing`.
        push: what the patch adds to the logit of the answer given, beside everything else that fires.
        without: the answer if this patch alone were absent.
        record: what was asked for then, and what became of it.
    """

    edit_id: str
    activation: float
    push: float
    without: Answer
    record: EditRecord | None

    def __str__(self) -> str:
        return f"{self.edit_id}: activation {self.activation:.2f}, push {self.push:+.2f}; without it {self.without}"


@dataclass(frozen=True, repr=False)
class Explanation:
    """One answer.

    Attributes:
        text: the text.
        answer: what the edited model says.
        unedited: what the model would say without its edits.
        causes: the loudest patches that fire, loudest first; none for editors that change weights.
        firing: how many patches fire in all.
    """

    text: Text
    answer: Answer
    unedited: Answer
    causes: Sequence[Cause]
    firing: int

    def __repr__(self) -> str:
        return f"<Explanation of {shortened(self.text)}: {one_line(self._answers())}; {self._patches()}>"

    def __str__(self) -> str:
        lines = [shortened(self.text), f"  {one_line(self._answers())}; {self._patches()}"]
        return "\n".join([*lines, *(f"  {one_line(str(cause))}" for cause in self.causes)])

    def _repr_html_(self) -> str:
        lines = (html.escape(line) for line in str(self).split("\n"))
        return "<br>".join(lines)

    def _answers(self) -> str:
        return f"{self.answer} (unedited: {self.unedited})"

    def _patches(self) -> str:
        return {0: "no patch fires", 1: "1 patch fires"}.get(self.firing, f"{self.firing} patches fire")


@torch.no_grad()
def explain(text: Text, tail: Asked, delta: Delta, records: Mapping[str, EditRecord]) -> Explanation:
    """Why the model answers as it does in `text`, from the tail: one query, and one head pass per cause."""

    def answer(logits: Tensor) -> Answer:
        share, said = logits.softmax(-1).max(-1)
        return Answer(tail.readout.answer([int(said)]), float(share))

    rows = tail.readout.rows([text])
    logits, plain = tail.logits(rows, delta)[0], tail.logits(rows, UNCHANGED)[0]
    given = int(logits.argmax())
    fired = firing(text, tail, delta)
    causes = []
    for i, activation in fired[:SEVERAL]:
        assert isinstance(delta, Pieces)  # else nothing fires
        without = tail.logits(rows, delta.without(i))[0]
        owner = delta.owners[i]
        push = float(logits[given] - without[given])
        causes.append(Cause(owner, activation, push, answer(without), records.get(owner)))
    return Explanation(text, answer(logits), answer(plain), tuple(causes), len(fired))


@torch.no_grad()
def firing(text: Text, tail: Asked, delta: Delta, threshold: float = 0.0) -> list[tuple[int, float]]:
    """(neuron, activation) of every neuron above `threshold`, the loudest first."""
    if not isinstance(delta, Pieces) or not delta.patches:
        return []
    activations = delta.activations(tail.queries(tail.readout.rows([text])).q)[0].tolist()
    return sorted(((i, a) for i, a in enumerate(activations) if a > threshold), key=lambda pair: -pair[1])
