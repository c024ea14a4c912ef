"""TPatcher: Transformer-Patcher's way to learn one patch neuron per edit (Huang et al., 2023).

    L = L_e + w_a · L_a + w_m · L_m        (losses.py)

Adam on (k, b, v, α); the patch is ``act(q·k + b) · (α ⊙ v)``; afterwards α is folded into v and the neuron is frozen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Annotated, TypeAlias

import torch
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau

from polypatch.deltas import Delta, PatchBank
from polypatch.editors.editor import Copies, Drawn, Fit, Lesson, Rate, Repeats, Steps, Weight, expect
from polypatch.editors.losses import accuracy_all, activation_loss, edit_loss, memory_loss
from polypatch.editors.loudest import Loudest
from polypatch.editors.memory import Memory, MemoryRows
from polypatch.editors.widths import BY_WIDTH
from polypatch.settings import Settings, above, at_least, between
from polypatch.sites import FeedForwardSite, Tail, Trainable

DRAWS = 20
"""So often a step draws until a language comes up whose answer is as long as that."""

Margin: TypeAlias = Annotated[float, between(-80, 80)]
"""It stands in an exponent, and float32 ends at exp(88)."""


class TrainedNeuron:
    """The patch in training: k, b, v and the amplifier α, all trained. A `Change`.

    Attributes:
        heads: which of the lesson's rows it is to fire at [n]; None for all. Below the last layer those are the ones
            that begin an answer, and the layers above do the rest.
    """

    overrides: Mapping[str, Tensor] = MappingProxyType({})

    def __init__(self, q: Tensor, bank: PatchBank, amplification: float, generator: torch.Generator) -> None:
        # k = q/‖q‖², b = 0: the edit's own pre-activation starts at 1.
        value = torch.randn(q.shape, dtype=q.dtype, generator=generator).to(q.device)
        # One vector with four views into it: clipped and stepped as one, which a small model's step time shows.
        self.numbers = torch.cat([q / q.dot(q), q.new_zeros(1), value, torch.full_like(q, amplification)]).detach()
        key, bias, value, alpha = torch.split(self.numbers, [len(q), 1, len(q), len(q)])
        self.key, self.bias, self.value, self.alpha = (
            part.detach().requires_grad_() for part in (key, bias.squeeze(), value, alpha)
        )
        self.activation = bank.activation
        self.heads: Tensor | None = None

    @property
    def parameters(self) -> list[Tensor]:
        """k, b, v, α: 3d + 1 numbers."""
        return [self.key, self.bias, self.value, self.alpha]

    def before_activation(self, q: Tensor) -> Tensor:
        """Pre-activation z = q·k + b for each query: [n, d] -> [n]."""
        return torch.addmv(self.bias, q, self.key)

    def __call__(self, q: Tensor, out: Tensor) -> Tensor:
        """`out` plus what the patch adds to it."""
        fired = self.activation(self.before_activation(q))
        change: Tensor = fired.unsqueeze(-1) * (self.alpha * self.value)
        return out + change


@dataclass(frozen=True, kw_only=True)
class TPatcher(Settings):
    """One patch neuron per edit. Defaults are the released code's for FEVER; those that are ``BY_WIDTH``, on models 768
    wide and wider, and others on narrower ones (`widths.py`).

    Attributes:
        learning_rate, weight_decay, clip_norm: Adam with coupled weight decay; the gradient's norm is clipped.
        max_steps: give up after so many steps.
        validate_every, first_validation: the stopping rule looks every so many steps, from this step on.
        min_gain: stop when the validation memory loss no longer falls by more than this below its best.
        use_validation: False stops at the first look at which the edit is right.
        plateau_factor, plateau_threshold: the learning rate is multiplied by the factor when the edit loss, looked at
            with the same rhythm, falls by less than the relative threshold twice.
        example_repeat: how often each drawn text stands in a batch, each time in another dropout view.
        views: train-mode queries kept per text; 0 trains on the eval-mode query.
        amplification: the start value of α in every coordinate.
        entropy_weight: weight of the entropy bonus in L_e.
        activation_weight, activation_top, activation_margin: w_a, and how L_a counts.
        memory_weight, memory_top, edit_margin, memory_margin: w_m, and how L_m counts (m1, −m2 of the released code).
        memory_copies: how often each row of a finished edit counts in the memory of the next ones; 0 leaves past
            edits unprotected.

        max_tokens: of an answer that get a neuron, at most: the first ones.

    **Deviates:** with a language drawn anew at every step, "right" means right on every text drawn so far. Repeats
    without views are identical, so they are computed once and counted `example_repeat` times.
    Source: github.com/ZeroYuHuang/Transformer-Patcher, commit 93ff458, read as facts; `docs/deviations.md`.
    """

    learning_rate: Rate = BY_WIDTH
    weight_decay: Weight = 0.01
    clip_norm: Annotated[float, above(0)] = 5.0
    max_steps: Steps = BY_WIDTH
    validate_every: Annotated[int, at_least(1)] = BY_WIDTH
    first_validation: Steps = BY_WIDTH
    min_gain: Weight = 1e-3
    use_validation: bool = True
    plateau_factor: Annotated[float, above(0, below=1)] = 0.5
    plateau_threshold: Weight = 0.05
    example_repeat: Repeats = BY_WIDTH
    views: Copies = BY_WIDTH
    amplification: float = 10.0
    entropy_weight: Weight = 0.1
    activation_weight: Weight = 1.0
    activation_top: Annotated[int, at_least(1)] = 5
    activation_margin: Margin = 0.0
    memory_weight: Weight = 5.0
    memory_top: Annotated[int, at_least(1)] = 1000
    edit_margin: Margin = 3.0
    memory_margin: Margin = 3.0
    memory_copies: Copies = BY_WIDTH
    max_tokens: Annotated[int, at_least(1)] = 5

    exact = False
    protects_right = False

    def start(self, site: FeedForwardSite) -> PatchBank:
        """An empty bank for this site."""
        return PatchBank(site.hidden_size, site.activation_name, site.device, site.dtype)

    def learn(self, delta: Delta, lesson: Lesson, tail: Tail, memory: Memory) -> Fit:
        """Train one neuron on the lesson and append it to the bank; one per token where answers have several."""
        bank = expect(PatchBank, delta, self)
        # Once for all steps: who comes in first looks at every module of the model.
        with tail.site.evaluating():
            if tail.site.lower:  # of which there are no dropout views
                return replace(self, views=0)._one(bank, lesson, tail, memory)
            return (self._each if lesson.written else self._one)(bank, lesson, tail, memory)

    def _each(self, bank: PatchBank, lesson: Lesson, tail: Tail, memory: Memory) -> Fit:
        """A neuron for each token of the answers that is not said, those of all languages at one place together."""
        steps, drawn, reasons = 0, dict[int, None](), list[str]()
        for place in sorted(set(lesson.index)):
            numbers = [i for i, one in enumerate(lesson.index) if one == place]
            rows, wanted = [lesson.rows[i] for i in numbers], [lesson.wanted[i] for i in numbers]
            wrong = tail.said(rows, bank).ids.tolist() != wanted
            if wrong and place < self.max_tokens:
                part = replace(lesson, rows=rows, wanted=wanted, draw=partial(_drawn_of, lesson, numbers), index=())
                fit = self._one(bank, part, tail, memory)
                steps, reasons = steps + fit.steps, [*reasons, *([fit.reason] if fit.reason else [])]
                drawn.update(dict.fromkeys(numbers[i] for i in fit.drawn))
        examples = {i - lesson.index[i] for i in drawn}  # whole answers: the tokens that were said already, too
        whole = [i for i in range(len(lesson.rows)) if i - lesson.index[i] in examples | {0}]
        return Fit(max(steps, 1), tuple(whole), "; ".join(dict.fromkeys(reasons)))

    def _one(self, bank: PatchBank, lesson: Lesson, tail: Tail, memory: Memory) -> Fit:
        rows = tail.rows(lesson.rows, bank, views=self.views, generator=lesson.generator)
        neuron = TrainedNeuron(rows.q[0], bank, self.amplification, lesson.generator)
        drawn = Drawn(lesson)
        targets = torch.tensor(lesson.wanted, device=rows.q.device)
        if lesson.written:
            neuron.heads = torch.tensor([not place for place in lesson.index], device=targets.device)
        steps, reason = self._train(neuron, rows, drawn, targets, memory)
        bank.append(lesson.owner, neuron.key, neuron.bias, neuron.alpha * neuron.value)
        return Fit(steps, drawn.seen, reason)

    def _train(
        self, neuron: TrainedNeuron, rows: Trainable, drawn: Drawn, targets: Tensor, memory: Memory
    ) -> tuple[int, str]:
        numbers = neuron.numbers
        optimiser = torch.optim.Adam([numbers], lr=self.learning_rate, weight_decay=self.weight_decay, fused=True)
        plateau = ReduceLROnPlateau(optimiser, factor=self.plateau_factor, patience=1, threshold=self.plateau_threshold)
        loudest = self._loudest(memory.train)
        watch = _Watch(self, rows, targets, self._loudest(memory.validation))
        for step in range(1, self.max_steps + 1):
            loss = self.loss(neuron, rows, drawn(), targets, loudest)
            gradients = torch.autograd.grad(loss, neuron.parameters)
            numbers.grad = torch.cat([gradient.flatten() for gradient in gradients])
            norm = float(numbers.grad.norm())
            if norm > self.clip_norm:
                numbers.grad *= self.clip_norm / norm
            if not math.isfinite(norm):
                return step, f"the gradient is no longer finite at step {step} (loss {float(loss.detach()):.3g})"
            optimiser.step()
            if step % self.validate_every == 0 and watch.is_done(neuron, drawn.seen, step, plateau):
                return step, ""
        return self.max_steps, f"not right on every text after {self.max_steps} steps"

    def loss(
        self, neuron: TrainedNeuron, rows: Trainable, picks: list[int], targets: Tensor, loudest: Loudest | None
    ) -> Tensor:
        """L on one batch: the picked texts, each `example_repeat` times."""
        repeat = self.example_repeat if self.views else 1
        batch = torch.tensor([pick for pick in picks for _ in range(repeat)], device=targets.device)
        q, logits = rows.forward(batch, neuron)
        z = neuron.before_activation(q if neuron.heads is None else q[neuron.heads[batch]])
        loss = edit_loss(logits, targets[batch], self.entropy_weight)
        return loss + self.pull(neuron, z if self.views else z.repeat_interleave(self.example_repeat), loudest)

    def pull(self, neuron: TrainedNeuron, z: Tensor, loudest: Loudest | None) -> Tensor:
        """w_a · L_a + w_m · L_m for activations z on the edit's rows."""
        loss = self.activation_weight * activation_loss(z, self.activation_top, self.activation_margin)
        if loudest is None:
            return loss
        return loss + self.memory_weight * self.memory(neuron, z, loudest)

    def memory(self, neuron: TrainedNeuron, z: Tensor, loudest: Loudest) -> Tensor:
        """L_m of the neuron over one memory."""
        h = loudest.activations(neuron.key, neuron.bias, z)
        return memory_loss(h, z, self.memory_top, self.edit_margin, self.memory_margin)

    def _loudest(self, rows: MemoryRows) -> Loudest | None:
        return Loudest(rows, self.memory_top) if rows.used and self.memory_weight else None


def _drawn_of(lesson: Lesson, numbers: Sequence[int]) -> list[int]:
    """What was drawn, of the rows of these numbers, by their places among them."""
    places = {number: i for i, number in enumerate(numbers)}
    for _ in range(DRAWS):
        drawn = [places[number] for number in lesson.draw() if number in places]
        if drawn:
            return drawn
    return [0]  # the languages that were drawn all have shorter answers


class _Watch:
    """The stopping rule: right on every text drawn, and the validation memory loss no longer falls."""

    def __init__(self, editor: TPatcher, rows: Trainable, targets: Tensor, loudest: Loudest | None) -> None:
        self.editor, self.rows, self.targets, self.loudest = editor, rows, targets, loudest
        self.best: float | None = None

    @torch.no_grad()
    def is_done(self, neuron: TrainedNeuron, seen: tuple[int, ...], step: int, plateau: ReduceLROnPlateau) -> bool:
        editor, picked = self.editor, list(seen)
        q, logits = self.rows.evaluate(neuron)
        logits, targets = logits[picked], self.targets[picked]
        plateau.step(float(edit_loss(logits, targets, editor.entropy_weight)))
        # The released code counts epochs from 0 and looks at epochs >= 100, so step 100 itself is too early.
        if step <= editor.first_validation or not accuracy_all(logits, targets):
            return False
        if not editor.use_validation or self.loudest is None:
            return True
        heads = picked if neuron.heads is None else [i for i in picked if neuron.heads[i]]
        z = neuron.before_activation(q[heads]).repeat_interleave(editor.example_repeat)
        value = float(editor.memory(neuron, z, self.loudest))
        if self.best is not None and value >= self.best - editor.min_gain:
            return True
        self.best = value
        return False
