"""Explanation: why the model answers what it answers: which patches fire, whose they are, and what they change."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from polypatch.arguments import shortened
from polypatch.deltas import Delta, Pieces
from polypatch.edits import Text
from polypatch.outcomes import EditRecord
from polypatch.rendering.harmless import one_line
from polypatch.sites import UNCHANGED, Asked, Change, Row

SEVERAL = 10
"""Firing patches for which the answer without each is worked out."""


@dataclass(frozen=True)
class Answer:
    """A label, or what a language model writes, and its probability: that of its least sure token."""

    label: str
    probability: float

    def __str__(self) -> str:
        return f"{self.label} {self.probability:.2f}"


@dataclass(frozen=True)
class Firing:
    """One patch at work in one text: the edit it belongs to, and how strongly it acts.

    That is act(q·k + b) of a neuron, and 1 − ‖q − k‖ ÷ r of an entry of a codebook; in a language model the most that
    it comes to at a token of the answer.
    """

    edit_id: str
    activation: float

    def to_plain(self) -> dict[str, Any]:
        """For JSON."""
        return {"edit": self.edit_id, "activation": self.activation}


@dataclass(frozen=True)
class TokenFiring:
    """One token of an answer, and the patches at work where it is said, the loudest first."""

    token: str
    firing: tuple[Firing, ...]

    def __str__(self) -> str:
        return f"{self.token!r}: {', '.join(f'{one.edit_id} {one.activation:.2f}' for one in self.firing)}"


@dataclass(frozen=True)
class Cause:
    """A firing patch and what hangs on it.

    Attributes:
        edit_id: the edit it belongs to.
        activation: how strongly it acts, as in `Firing`.
        push: what the patch adds to the logit of the answer given, beside everything else that fires; of an answer of
            several tokens, to that of the token where it acts the strongest.
        without: the answer if this patch alone were absent.
        record: what was asked for then, and what became of it.
        token: that token; empty where answers are classes.
    """

    edit_id: str
    activation: float
    push: float
    without: Answer
    record: EditRecord | None
    token: str = ""

    def __str__(self) -> str:
        at = f" at {self.token!r}" if self.token else ""
        acts = f"activation {self.activation:.2f}, push {self.push:+.2f}"
        return f"{self.edit_id}: {acts}{at}; without it {self.without}"

    def to_plain(self) -> dict[str, Any]:
        """For JSON; ``request`` is what the edit asked for, where that was kept."""
        edit = None if self.record is None else self.record.edit
        request = None
        if edit is not None:
            request = {"lang": edit.source, "prompt": edit.prompt[edit.source], "target": edit.target_in(edit.source)}
        return {
            "edit": self.edit_id,
            "request": request,
            "status": None if self.record is None else str(self.record.status),
            "activation": self.activation,
            "push": self.push,
            "token": self.token,
            "without": asdict(self.without),
        }


@dataclass(frozen=True, repr=False)
class Explanation:
    """One answer.

    Attributes:
        text: the text.
        answer: what the edited model says.
        unedited: what the model would say without its edits.
        causes: the loudest patches that fire, loudest first; none for editors that change weights.
        firing: how many patches fire in all.
        tokens: of a language model, each token of the answer, its end included, and what fires there.
    """

    text: Text
    answer: Answer
    unedited: Answer
    causes: Sequence[Cause]
    firing: int
    tokens: Sequence[TokenFiring] = ()

    def __repr__(self) -> str:
        return f"<Explanation of {shortened(self.text)}: {one_line(self._answers())}; {self._patches()}>"

    def __str__(self) -> str:
        lines = [shortened(self.text), f"  {one_line(self._answers())}; {self._patches()}"]
        lines += [f"  {one_line(str(token))}" for token in self.tokens if token.firing]
        return "\n".join([*lines, *(f"  {one_line(str(cause))}" for cause in self.causes)])

    def to_plain(self) -> dict[str, Any]:
        """For JSON; the fields of the same names, those of an edit called ``edit``."""
        return {
            "text": self.text,
            "answer": asdict(self.answer),
            "unedited": asdict(self.unedited),
            "firing": self.firing,
            "causes": [cause.to_plain() for cause in self.causes],
            "tokens": [{"token": one.token, "firing": [f.to_plain() for f in one.firing]} for one in self.tokens],
        }

    def _repr_html_(self) -> str:
        lines = (html.escape(line) for line in str(self).split("\n"))
        return "<br>".join(lines)

    def _answers(self) -> str:
        return f"{self.answer} (unedited: {self.unedited})"

    def _patches(self) -> str:
        return {0: "no patch fires", 1: "1 patch fires"}.get(self.firing, f"{self.firing} patches fire")


@torch.no_grad()
def explain(text: Text, tail: Asked, delta: Delta, records: Mapping[str, EditRecord]) -> Explanation:
    """Why the model answers as it does in `text`: from the tail, one query and one head pass per cause.

    What a language model writes is explained token by token, and written anew without each cause.
    """
    (rows,) = tail.answer_rows([text], delta)
    acting = _activations(rows, tail, delta)
    said = tail.said(rows, delta).ids.tolist()
    writes = tail.readout.answers is None
    names = [tail.readout.token(one) if writes else "" for one in said]
    fired = _loudest(acting)
    causes = []
    for i, activation in fired[:SEVERAL]:
        assert isinstance(delta, Pieces)  # else nothing fires
        without, at = delta.without(i), int(acting[:, i].argmax())
        logits, other = (tail.logits(rows[at : at + 1], change)[0] for change in (delta, without))
        push, owner = float(logits[said[at]] - other[said[at]]), delta.owners[i]
        causes.append(Cause(owner, activation, push, _answer(text, tail, without), records.get(owner), names[at]))
    answers = _answer(text, tail, delta), _answer(text, tail, UNCHANGED)
    tokens = [TokenFiring(name, _named(row, delta)) for name, row in zip(names, acting, strict=True)] if writes else []
    return Explanation(text, *answers, tuple(causes), len(fired), tuple(tokens))


@torch.no_grad()
def firing(text: Text, tail: Asked, delta: Delta, threshold: float = 0.0) -> list[tuple[int, float]]:
    """(neuron, activation) of every neuron above `threshold`, the loudest first."""
    if not isinstance(delta, Pieces) or not delta.patches:
        return []
    (rows,) = tail.answer_rows([text], delta)
    return _loudest(_activations(rows, tail, delta), threshold)


def _activations(rows: Sequence[Row], tail: Asked, delta: Delta) -> Tensor:
    """How strongly every patch acts in every row: [rows, patches]."""
    if not isinstance(delta, Pieces) or not delta.patches:
        return torch.zeros(len(rows), 0)
    with tail.site.asking(rows):
        return delta.activations(tail.queries(rows).q)


def _loudest(acting: Tensor, threshold: float = 0.0) -> list[tuple[int, float]]:
    """(patch, its largest activation) where that is above `threshold`, the loudest first."""
    most = acting.max(0).values.tolist()
    return sorted(((i, a) for i, a in enumerate(most) if a > threshold), key=lambda pair: -pair[1])


def _named(acting: Tensor, delta: Delta) -> tuple[Firing, ...]:
    return tuple(Firing(delta.owners[i], a) for i, a in _loudest(acting.unsqueeze(0)))


def _answer(text: Text, tail: Asked, change: Change) -> Answer:
    if tail.readout.answers is None:
        spoken = tail.predict([text], change)
        return Answer(spoken.answers[0], float(spoken.probability[0]))
    share, said = tail.logits(tail.readout.rows([text]), change)[0].softmax(-1).max(-1)
    return Answer(tail.readout.answer([int(said)]), float(share))
