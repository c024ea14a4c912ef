"""What the layer's output would have to be for the model to answer right: ``out + δ``, δ being optimised.

It is the first half of ROME, MEMIT and what came of them (``compute_v``, ``compute_z``); the second half puts it into a
matrix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional

from polypatch.deltas import FactorBank
from polypatch.editors.editor import Drawn, Lesson, Rate, Steps, Weight
from polypatch.editors.key_moments import keys_of
from polypatch.settings import Settings, above
from polypatch.sites import FeedForwardSite, Tail, Trainable

SAME = 1e-4
"""Queries nearer than that, in units of their length, are of one prefix: a pass beside others has other last bits."""


@dataclass(frozen=True, kw_only=True)
class Shifting(Settings):
    """How δ is optimised; the base of the editors that put it into a matrix.

    Attributes:
        learning_rate, max_steps: of Adam.
        clamp: the longest δ, in lengths of the layer's output at the position.
        weight_decay: weight of ‖δ‖ ÷ ‖out‖².
        enough: stop at a loss below it.
        ridge: of the second moment of keys; see `polypatch.editors.key_moments.KeyMoments`.
    """

    learning_rate: Rate = 0.5
    max_steps: Steps = 25
    clamp: Annotated[float, above(0)] = 4.0
    weight_decay: Weight = 1e-3
    enough: Weight = 0.05
    ridge: Annotated[float, above(0)] = 1e-2

    exact = False
    protects_right = False

    def start(self, site: FeedForwardSite) -> FactorBank:
        """No terms."""
        return FactorBank(site)


class Shifted:
    """Adds δᵢ to the layer's output wherever the query is qᵢ. A `Change`."""

    overrides: Mapping[str, Tensor] = MappingProxyType({})

    def __init__(self, queries: Tensor, shifts: Tensor) -> None:
        self.queries, self.shifts = queries, shifts
        self._reach = SAME * queries.norm(dim=1)

    def __call__(self, q: Tensor, out: Tensor) -> Tensor:
        """`out` plus the shifts of the queries that are there."""
        here: Tensor = torch.cdist(q, self.queries) <= self._reach
        more: Tensor = here.to(out.dtype) @ self.shifts.to(out.dtype)
        return out + more


@dataclass(frozen=True, eq=False)
class Wanted:
    """What is to be written: at n positions, ``W k = out + δ``.

    Attributes:
        keys: k [n, f], what the map that writes is given there, in float64.
        shifts: δ [n, d], in float64.
        places: which token of its answer each position says first [n]; positions at one place say one thing.
        steps, drawn: of the optimisation.
    """

    keys: Tensor
    shifts: Tensor
    places: Tensor
    steps: int
    drawn: tuple[int, ...]


def wanted_of(settings: Shifting, delta: FactorBank, lesson: Lesson, tail: Tail, *, together: bool) -> Wanted:
    """Optimise δ at each position that a lesson's first draw asks for.

        L = mean over texts [ mean over tokens −log p ] + w · mean ‖δ‖ ÷ ‖out‖²        ‖δ‖ ≤ c ‖out‖

    Behind the last layer every token of an answer has its own position; below it the position before the answer, alone,
    moves all of them. `together`: positions at one place of their answers share one δ, as ROME has it.

    **Deviates:** the position is the one that is answered from, not the subject's last token: of most sentences nobody
    knows the subject, in most languages it is not there literally, and a classifier has none. There are no prefixes
    before the prompt, and no KL term on "{subject} is a", which are English; what a memory says is in C.
    """
    drawn = Drawn(lesson)
    picks = drawn()
    heads = lesson.firsts(picks) if tail.site.lower else list(range(len(picks)))
    rows = tail.rows([lesson.rows[i] for i in picks], delta, views=0, generator=lesson.generator)
    targets = torch.tensor([lesson.wanted[i] for i in picks], device=rows.q.device)
    places = torch.tensor([lesson.index[picks[i]] if lesson.index else 0 for i in heads], device=rows.q.device)
    with tail.site.evaluating():
        queries = rows.q[heads]
        with torch.no_grad():
            out = delta(queries, tail.site.ffn(queries))
        own = torch.unique(places, return_inverse=True)[1] if together else torch.arange(len(heads), device=out.device)
        loss = _Loss(settings, rows, targets, _shares(lesson, picks).to(out))
        shifts, steps = loss.least(_Positions(queries, out, own))
    return Wanted(keys_of(tail.site, queries), shifts[own].double(), places, steps, drawn.seen)


def _shares(lesson: Lesson, picks: Sequence[int]) -> Tensor:
    """How much each row's token counts: one over the tokens of its answer, and over the number of texts."""
    firsts = [pick - (lesson.index[pick] if lesson.index else 0) for pick in picks]
    sizes = torch.tensor([firsts.count(first) for first in firsts], dtype=torch.float64)
    return 1 / sizes / len(set(firsts))


@dataclass(frozen=True, eq=False)
class _Positions:
    """Where shifts go: queries [n, D], the layer's output there [n, d], and which shift each gets [n]."""

    queries: Tensor
    out: Tensor
    own: Tensor


@dataclass(frozen=True, eq=False)
class _Loss:
    """What δ is to make small."""

    settings: Shifting
    rows: Trainable
    targets: Tensor
    shares: Tensor

    def least(self, at: _Positions) -> tuple[Tensor, int]:
        """δ [m, d], and the steps it took."""
        settings, count = self.settings, int(at.own.max()) + 1
        unit = at.out.norm(dim=1).clamp(min=torch.finfo(at.out.dtype).tiny)
        length = torch.stack([unit[at.own == i].mean() for i in range(count)])
        shifts = at.out.new_zeros(count, at.out.shape[1]).requires_grad_()
        optimiser = torch.optim.Adam([shifts], lr=settings.learning_rate)
        for step in range(settings.max_steps):
            answers = self._answers(Shifted(at.queries, shifts[at.own]))
            loss = answers + settings.weight_decay * (shifts.norm(dim=1) / length.square()).mean()
            if float(loss.detach()) < settings.enough:
                return shifts.detach(), step
            (shifts.grad,) = torch.autograd.grad(loss, [shifts])
            optimiser.step()
            with torch.no_grad():
                longest = settings.clamp * length / shifts.norm(dim=1).clamp(min=torch.finfo(shifts.dtype).tiny)
                shifts *= longest.clamp(max=1).unsqueeze(1)
        return shifts.detach(), settings.max_steps

    def _answers(self, change: Shifted) -> Tensor:
        logits = self.rows.evaluate(change)[1]
        return self.shares @ functional.cross_entropy(logits, self.targets, reduction="none")
