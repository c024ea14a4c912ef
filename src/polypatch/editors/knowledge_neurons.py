"""KN and AMIG: the neurons that say what the model says now, and what they write changed (Dai et al., 2022).

    score(n) = (a_n − b_n) · 1/m Σₖ ∂P(old) ÷ ∂a_n  at  b + k/m (a − b),      k = 1 … m
    W' = W + 2 (e(new) − e(old)) rᵀ,      r_n = sign(a_n) where the score is above t times the largest, else 0

a [f] is what the map that writes is given where the answer is read from, e(y) the embedding of a token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Annotated

import torch
from torch import Tensor

from polypatch.deltas import Delta, FactorBank
from polypatch.editors.editor import Drawn, Fit, Lesson, expect
from polypatch.editors.key_moments import keys_of
from polypatch.editors.memory import Memory
from polypatch.editors.shifts import Shifted
from polypatch.errors import UnsupportedModelError
from polypatch.settings import Settings, above, at_least
from polypatch.sites import UNCHANGED, FeedForwardSite, Tail, Trainable
from polypatch.sites.tails.frozen_rows import FrozenRows
from polypatch.sites.tails.tail import slice_of

Score = Callable[[Tensor], Tensor]
"""Of the activations of n rows at m points [m, n, f], a number: a sum over the points, each by itself."""


def attribution(score: Score, full: Tensor, base: Tensor, steps: int, at_once: int = 1) -> Tensor:
    """How much each neuron adds to a score on the straight way from activations `base` to `full`: [n, f].

    All of them together add ``score(full) − score(base)``, up to an error that falls as 1 ÷ `steps`. So many of the
    steps are taken at once.
    """
    total = torch.zeros_like(full)
    for first in range(0, steps, at_once):
        parts = torch.arange(first + 1, min(first + at_once, steps) + 1).to(full).view(-1, 1, 1) / steps
        here = (base + parts * (full - base)).requires_grad_()
        total += torch.autograd.grad(score(here), here)[0].sum(0)
    return (full - base) * total / steps


@dataclass(frozen=True, kw_only=True)
class KN(Settings):
    """The value rows of the neurons behind the old answer lose its embedding and gain the new one's.

    Attributes:
        steps: m.
        threshold: t.
        strength: how many embeddings.
        baselines: rows of the memory whose activations are b, one after the other, scores being their mean; with 0, or
            where there is no memory, b = 0.
        shared: only neurons that are above for a row of every text of the edit.

    Every token of an answer that is not said has a term, of the neurons behind what is said in its place.

    **Deviates:** one layer, so that the largest score is that layer's. The released code has no sign, so that neurons
    that are below zero, as half of a gated layer's are, write the old answer; and one set of neurons for all tokens of
    an answer, with a factor of 1. The old answer is what the model says at the rows of the new one, not what it would
    write freely; below the last layer their activations grow together. A classifier has no embeddings of its answers:
    in their place stands the direction of the layer's output that raises the new class's logit over the old one's, as
    long as the mean value row. There is no refinement by other wordings.
    Source: EasyEdit's ``kn``, commit 14cea82, read as facts; `docs/deviations.md`.
    """

    steps: Annotated[int, at_least(1)] = 20
    threshold: Annotated[float, above(0, below=1)] = 0.2
    strength: Annotated[float, above(0)] = 2.0
    baselines: Annotated[int, at_least(0)] = 0
    shared: bool = False

    exact = False
    memory_copies = 0
    protects_right = False

    def start(self, site: FeedForwardSite) -> FactorBank:
        """No terms."""
        return FactorBank(site)

    def learn(self, delta: Delta, lesson: Lesson, tail: Tail, memory: Memory) -> Fit:
        """Find the neurons of the first draw, and change what they write."""
        delta = expect(FactorBank, delta, self)
        drawn = Drawn(lesson)
        picks = drawn()
        asked, wanted = [lesson.rows[i] for i in picks], [lesson.wanted[i] for i in picks]
        with tail.site.evaluating():
            rows = tail.rows(asked, delta, views=0, generator=lesson.generator)
            found = _Answers(delta, tail.site, rows, torch.tensor(wanted, device=rows.q.device))
            scores = found.scores(self._bases(memory, tail.site), self.steps)
            vectors = self.strength * found.vectors()
        behind = _above(self.threshold, scores)
        if self.shared:
            texts = [lesson.whole([picks[i]], picks) for i in lesson.firsts(picks)]
            behind &= torch.stack([behind[[picks.index(one) for one in text]].any(0) for text in texts]).all(0)
        writes = behind.any(1) & vectors.any(1)
        (name,) = delta.maps
        if bool(writes.any()):
            delta.extend(lesson.owner, {name: (vectors[writes], (behind * found.full.sign())[writes])})
        return Fit(0, drawn.seen, "" if bool(writes.any()) else "no neuron stands behind every old answer")

    def _bases(self, memory: Memory, site: FeedForwardSite) -> Tensor:
        """b, as rows [k, f]."""
        rows = memory.train
        keys = keys_of(site, rows.rows[rows.spread(self.baselines)])
        return keys if len(keys) else torch.zeros(1, keys.shape[1], dtype=keys.dtype, device=keys.device)


@dataclass(frozen=True, kw_only=True)
class AMIG(KN):
    """KN on neurons that an edit's texts have in common, whatever their languages (Chen et al., 2024).

    From the source alone it is KN with other baselines.

    **Deviates:** as `KN`; and b is rows of the memory, where the released code masks one token of the prompt after the
    other: most decoders have no mask, and it takes a pass of the model for each.
    Source: AMIG's ``garns.py``, commit 417b101, read as facts; `docs/deviations.md`.
    """

    baselines: Annotated[int, at_least(0)] = 8
    shared: bool = True


def _above(threshold: float, scores: Tensor) -> Tensor:
    """Which neurons are above at each row: [n, f]; none where no score is above 0."""
    return scores > threshold * scores.max(1, keepdim=True).values.clamp(min=0)


class _Moved:
    """Moves the layer's output by these [n, d], row by row. A `Change`."""

    overrides: Mapping[str, Tensor] = MappingProxyType({})

    def __init__(self, shifts: Tensor) -> None:
        self.shifts = shifts

    def __call__(self, q: Tensor, out: Tensor) -> Tensor:
        """`out`, moved."""
        del q
        return out + self.shifts.to(out.dtype)


@dataclass(frozen=True, eq=False)
class _Answers:
    """Rows that are to say something else.

    Attributes:
        delta, site: the edits so far, and the layer.
        rows: n of them, under these.
        wanted: ids [n].
    """

    delta: FactorBank
    site: FeedForwardSite
    rows: Trainable
    wanted: Tensor

    @cached_property
    def full(self) -> Tensor:
        """A [n, f]."""
        return keys_of(self.site, self.rows.q).to(self.rows.q)

    def scores(self, bases: Tensor, steps: int) -> Tensor:
        """Of every neuron in what is said at each row, all rows together: [n, f]."""
        full, bases = self.full, bases.to(self.full)
        with torch.no_grad():
            said = self._said()
            weight = self._weight()

        def probability(activations: Tensor) -> Tensor:
            logits = self._logits((activations - full) @ weight.T)
            return logits.softmax(-1).gather(2, said.expand(len(logits), -1).unsqueeze(2)).sum()

        at_once = max(1, slice_of(self.site.width) // len(full))
        found = [attribution(probability, full, base.expand_as(full), steps, at_once) for base in bases]
        return torch.stack(found).mean(0)

    def vectors(self) -> Tensor:
        """e(new) − e(old) of each row [n, d]; 0 where that is one id."""
        with torch.no_grad():
            said = self._said()
        if not self.site.kind.writes:
            return self._directions(said)
        embeddings: Tensor = self.site.model.get_input_embeddings().weight  # type: ignore[operator]
        if embeddings.shape[1] != self.site.hidden_size:
            raise UnsupportedModelError(
                f"{type(self.site.model).__name__}: KN writes embeddings of {embeddings.shape[1]} numbers, and the "
                f"layer's output has {self.site.hidden_size}"
            )
        return (embeddings[self.wanted] - embeddings[said]).detach()

    def _directions(self, said: Tensor) -> Tensor:
        """What raises the wanted class over the one that is said, as long as the mean value row."""
        none = torch.zeros_like(self.rows.q[:, : self.site.hidden_size]).requires_grad_()
        logits = self._logits(none.unsqueeze(0))[0]
        lead = (logits.gather(1, self.wanted.unsqueeze(1)) - logits.gather(1, said.unsqueeze(1))).sum()
        (slope,) = torch.autograd.grad(lead, none)
        length = slope.norm(dim=1, keepdim=True).clamp(min=torch.finfo(slope.dtype).tiny)
        direction: Tensor = slope / length * self._weight().norm(dim=0).mean()
        return direction

    def _said(self) -> Tensor:
        return self.rows.evaluate(UNCHANGED)[1].argmax(-1)

    def _logits(self, shifts: Tensor) -> Tensor:
        """Where the layer's output is moved by m shifts of each row [m, n, d]: [m, n, width]."""
        if isinstance(self.rows, FrozenRows):  # one pass: behind the last layer no row sees another
            every = torch.arange(shifts.shape[1], device=shifts.device).repeat(len(shifts))
            logits = self.rows.forward(every, _Moved(shifts.flatten(0, 1)))[1]
            return logits.view(*shifts.shape[:2], -1)
        return torch.stack([self.rows.evaluate(Shifted(self.rows.q, one))[1] for one in shifts])

    def _weight(self) -> Tensor:
        """The map that writes [d, f], with everything edited so far."""
        (one,) = self.delta.maps.values()
        return one.as_kept(self.delta.weights()[one.weight].detach())
