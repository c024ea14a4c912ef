"""What an editor's net is trained to make small, and how good it is: on edits that are made, looked at and forgotten.

    L = c_e · mean −log p(answer) + c_m · KL(unedited ‖ edited) + c_g · open gates

The answers are those of the source and of one language drawn at random, the KL is on memory rows of other texts.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from polypatch.deltas import FactorBank
from polypatch.deltas.factor_bank import WHOLE
from polypatch.editors import Lesson, Memory, MemoryRows
from polypatch.editors.editor import Rate, Weight
from polypatch.editors.gradients import Gradients, gradients_of
from polypatch.editors.hyper_editor import HyperNet
from polypatch.editors.losses import kl_to_original
from polypatch.edits import Edit, Example
from polypatch.model.step import group_of
from polypatch.samplers import Sampler
from polypatch.settings import Settings, at_least
from polypatch.sites import UNCHANGED, Change, Row, Tail
from polypatch.sites.layers.edited_layer import EditedLayer
from polypatch.sites.rows import Question, flat

Count = Annotated[int, at_least(1)]


@dataclass(frozen=True, kw_only=True)
class NetTraining(Settings):
    """How a net is trained.

    Attributes:
        seed: of everything random.
        edits: practice edits, at most; every tenth validates.
        steps: of Adam, at most.
        batch: edits of a step, each made on the unedited model.
        learning_rate, rate_rate, mask_rate: of the net, of ln ρ, and of a mask.
        edit_weight, memory_weight, gate_weight: c_e, c_m, c_g.
        memory_rows: of the KL, drawn anew at every step.
        clip_norm: of the gradient, at most.
        validate_every: steps between two validations.
        patience: validations in a row without a lower loss that end it.

    **Deviates:** the released learning rates, 1e-6 for the net and 1e-4 for the rates, are for days on a GPU. ρ begins
    at the power of ten that validates best, as its scale is that of a model's gradients.
    """

    seed: int = 0
    edits: Count = 400
    steps: Count = 400
    batch: Count = 10
    learning_rate: Rate = 1e-3
    rate_rate: Rate = 1e-2
    mask_rate: Rate = 1e-3
    edit_weight: Weight = 0.1
    memory_weight: Weight = 1.0
    gate_weight: Weight = 1e-3
    memory_rows: Count = 32
    clip_norm: Rate = 100.0
    validate_every: Count = 25
    patience: Count = 4


class Standing(NamedTuple):
    """How good a net is.

    Attributes:
        loss: L, without the gates' term.
        took: share of the edits that are right in both languages.
        kept: share of the memory rows that say what they said.
    """

    loss: float
    took: float
    kept: float


class NetCourse:
    """The practice of one editor on one model.

    Args:
        tail: of the unedited model.
        memory: what edits must leave alone.
        edits: to practise on.
        sampler: what an edit is learned from.
        training: how.
    """

    def __init__(
        self, tail: Tail, memory: Memory, edits: Sequence[Edit], sampler: Sampler, training: NetTraining
    ) -> None:
        self.tail, self.memory, self.sampler, self.training = tail, memory, sampler, training
        self.validation, self.edits = list(edits[::10]), [edit for i, edit in enumerate(edits) if i % 10]
        self.groups = tuple(dict.fromkeys(group_of(lang) for edit in edits for lang in edit.languages))
        self._empty = FactorBank(tail.site, WHOLE)
        self._known: dict[Example, Gradients] = {}
        self._asked: dict[Example, Question] = {}
        kept = ((edit.id, tail.readout.keep(edit.texts)) for edit in edits)
        self._texts = {name: {row.tokens for rows in texts for row in rows} for name, texts in kept}
        tail.encode([row for edit in edits for one in edit.examples for row in self._question(one).rows])

    def gradients(self, example: Example) -> Gradients:
        """Those of one example in the unedited model, which never change."""
        if example not in self._known:
            lesson = self._lesson(example)
            self._known[example] = gradients_of(self._empty, lesson, range(len(lesson.rows)), self.tail)
        return self._known[example]

    def measure(self, net: HyperNet) -> None:
        """Let the net know the mean and the spread of what it will be given."""
        net.measure([self.gradients(one) for edit in self.edits for one in self.sampler(edit, self._rng(edit.id))])

    def loss(self, net: HyperNet, step: int) -> Tensor:
        """L of one step's batch; a pure function of both."""
        rng = self._rng(step)
        if net.mask is not None:
            net.mask.noise = torch.Generator().manual_seed(rng.getrandbits(62))
        batch = rng.choices(self.edits, k=self.training.batch)
        around = _Around.of(self.tail, self.memory.train, self.training.memory_rows, rng)
        loss = torch.stack([self._tried(net, edit, around, rng).loss for edit in batch]).mean()
        if net.mask is None:
            return loss
        net.mask.noise = None
        return loss + self.training.gate_weight * net.mask.open()

    @torch.no_grad()
    def standing(self, net: HyperNet) -> Standing:
        """On the edits and the memory that are held out, always the same ones."""
        rng = self._rng("validation")
        around = _Around.of(self.tail, self.memory.validation, 4 * self.training.memory_rows, rng)
        tried = [self._tried(net, edit, around, rng) for edit in self.validation]
        took, kept = (
            [float(value) for value in values] for values in zip(*((t.took, t.kept) for t in tried), strict=True)
        )
        loss = torch.stack([one.loss for one in tried]).double().mean()
        return Standing(float(loss), sum(took) / len(took), sum(kept) / len(kept))

    def _rng(self, purpose: object) -> random.Random:
        return random.Random(f"{self.training.seed}:{purpose}")

    def _question(self, example: Example) -> Question:
        if example not in self._asked:
            (self._asked[example],) = self.tail.readout.ask([example.text], [example.target])
        return self._asked[example]

    def _lesson(self, example: Example) -> Lesson:
        question, generator = self._question(example), torch.Generator().manual_seed(0)
        places = range(len(question.rows))
        return Lesson(example.lang, *question, lambda: places, generator, places)

    def _tried(self, net: HyperNet, edit: Edit, around: _Around, rng: random.Random) -> _Tried:
        """One edit of the unedited model, and what it does."""
        inside = self.sampler(edit, rng)
        found = [self.gradients(example).scaled(1 / len(inside)) for example in inside]
        change = TrialTerms.of(self._empty, net(found, [group_of(example.lang) for example in inside]))
        others = edit.languages[1:]
        outside = (edit.source, *rng.sample(others, min(1, len(others))))
        asked = [self._question(edit.example(lang)) for lang in outside]
        rows, wanted = flat(asked)
        beside = around.without(self._texts[edit.id])
        logits = self._logits([*rows, *(around.asked[i] for i in beside)], change)
        own, rest, before = logits[: len(rows)], logits[len(rows) :], around.before[beside]
        targets = torch.tensor(wanted, device=logits.device)
        share = torch.cat([torch.full((len(one.rows),), 1 / len(one.rows) / len(asked)) for one in asked])
        loss = self.training.edit_weight * (share.to(own) @ functional.cross_entropy(own, targets, reduction="none"))
        if beside:
            loss = loss + self.training.memory_weight * kl_to_original(before, rest)
        kept = float((rest.argmax(-1) == before.argmax(-1)).double().mean()) if beside else 1.0
        return _Tried(loss, float(torch.equal(own.argmax(-1), targets)), kept)

    def _logits(self, rows: Sequence[Row], change: Change) -> Tensor:
        ready = self.tail.rows(rows, UNCHANGED, views=0, generator=torch.Generator())
        with self.tail.site.evaluating():
            return ready.evaluate(change)[1]


class _Tried(NamedTuple):
    """What one edit did: its loss, whether it took, and the share of the memory that it left alone."""

    loss: Tensor
    took: float
    kept: float


@dataclass(frozen=True, eq=False)
class _Around:
    """Some rows of a memory, and the unedited model's logits [n, width] there."""

    asked: Sequence[Row]
    before: Tensor

    @classmethod
    def of(cls, tail: Tail, memory: MemoryRows, most: int, rng: random.Random) -> _Around:
        """At most so many, at random."""
        chosen = rng.sample(range(memory.base), min(most, memory.base))
        asked = [memory.asked[i] for i in chosen]
        return cls(asked, tail.logits(asked, UNCHANGED))

    def without(self, texts: Collection[tuple[int, ...]]) -> list[int]:
        """Which of them are rows of other texts."""
        return [i for i, row in enumerate(self.asked) if row.tokens not in texts]


class TrialTerms:
    """The layer with terms that can be differentiated: ``W + Σ l rᵀ``. A `Change`."""

    overrides: Mapping[str, Tensor] = MappingProxyType({})

    def __init__(self, layer: EditedLayer, weights: Mapping[str, Tensor]) -> None:
        self.layer, self.weights = layer, weights

    @classmethod
    def of(cls, bank: FactorBank, terms: Mapping[str, tuple[Tensor, Tensor]]) -> TrialTerms:
        """Those of a net, in the layer of a bank."""
        own, site = bank.weights(), bank.model_site
        more = {one.weight: one.as_kept(terms[name][0].T @ terms[name][1]) for name, one in bank.maps.items()}
        return cls(site.layer, {name: own[name] + change for name, change in more.items()})

    def __call__(self, q: Tensor, out: Tensor) -> Tensor:
        """FFN'(q)."""
        return self.layer.ffn_with(q[:, : self.layer.hidden_size], self.weights).to(out.dtype)
