"""What the layer's output would have to be for the model to answer right: ``out + δ``, δ being optimised.

It is the first half of ROME, MEMIT and what came of them (``compute_v``, ``compute_z``); the second half puts it into a
matrix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from polypatch.deltas import Delta, FactorBank
from polypatch.deltas.distances import distances
from polypatch.editors.editor import Drawn, Fit, Lesson, Rate, Steps, Weight, expect
from polypatch.editors.key_moments import KeyMoments, keys_of
from polypatch.editors.memory import Memory
from polypatch.errors import InputError
from polypatch.settings import Settings, above
from polypatch.sites import FeedForwardSite, Queries, Row, Tail, Trainable
from polypatch.sites.layers.residual_to_query import ResidualToQuery

SAME = 1e-4
"""Queries nearer than that, in units of their length, are of one prefix: a pass beside others has other last bits."""


Terms: TypeAlias = tuple[Tensor, Tensor]
"""Of ΔW = Σ l rᵀ: l [m, d] and r [m, f]."""


@dataclass(frozen=True, kw_only=True)
class Shifting(Settings):
    """How δ is optimised; the base of the editors that put it into a matrix, each in its own way (`terms`).

    Attributes:
        learning_rate, max_steps: of Adam.
        clamp: the longest δ, in lengths of the layer's output at the position.
        weight_decay: weight of ‖δ‖ ÷ ‖out‖².
        enough: stop at a loss below it.
        ridge: of the second moment of keys; see `polypatch.editors.key_moments.KeyMoments`.
        position: where δ goes. ``"last"``: the position that is answered from. ``"subject"``: the last token of what
            the edit names as its subject; at a layer below the last (`Recipe.layer`), and in a text of a causal
            language model that holds it literally. An edit whose text does not is not made, and says so.
    """

    learning_rate: Rate = 0.5
    max_steps: Steps = 25
    clamp: Annotated[float, above(0)] = 4.0
    weight_decay: Weight = 0.5
    enough: Weight = 0.05
    ridge: Annotated[float, above(0)] = 1e-2
    position: Literal["last", "subject"] = "last"

    exact = False
    memory_copies = 0
    protects_right = False
    together: ClassVar[bool] = False
    """Whether positions at one place of their answers share one δ, as ROME has it."""
    parts: ClassVar[int] = 1
    """How many δ a position has; the first is what is written."""

    def start(self, site: FeedForwardSite) -> FactorBank:
        """No terms."""
        return FactorBank(site)

    def learn(self, delta: Delta, lesson: Lesson, tail: Tail, memory: Memory) -> Fit:
        """Write what the first draw says into the matrix.

        Raises:
            InputError: the position is the subject's, and nothing reads the last layer's output there.
        """
        if self.position == "subject" and not tail.site.lower:
            raise InputError("position='subject' needs a layer below the last, whose output is read there: pass layer=")
        delta = expect(FactorBank, delta, self)
        drawn = Drawn(lesson)
        picks = drawn()
        rows = self._positions(lesson, picks, lower=tail.site.lower)
        known = {i: row for i, row in rows.items() if row is not None}
        if len(known) < len(rows):
            return Fit(0, drawn.seen, "a text does not hold its subject literally: position='last' needs none")
        moments = KeyMoments.of(memory.train, tail.site, self.ridge)
        wanted, steps = _wanted(self, delta, lesson, tail, _At(picks, known))
        (name,) = delta.maps
        for terms in self.terms(wanted, moments, memory, tail.site):
            delta.extend(lesson.owner, {name: terms})
        return Fit(steps, drawn.seen)

    def terms(self, wanted: ToWrite, moments: KeyMoments, memory: Memory, site: FeedForwardSite) -> Iterator[Terms]:
        """What is added to the matrix."""
        raise NotImplementedError

    def moved(self, at: Positions, shifts: Tensor) -> Tensor:
        """By how much the layer's output moves at n positions [n, d], for what is optimised there [n, parts, d]."""
        del at
        return shifts[:, 0]

    def _positions(self, lesson: Lesson, picks: Sequence[int], *, lower: bool) -> dict[int, Row | None]:
        """Of the picks that get a position their number among the picks, and the row; None where nobody knows it."""
        heads = lesson.firsts(picks) if lower else range(len(picks))
        own = {i: lesson.rows[picks[i]] for i in heads}
        if self.position == "last":
            return dict(own)
        places = {i: lesson.subject(picks[i]) for i in own}
        return {i: None if at is None else replace(own[i], place=at) for i, at in places.items()}


class Shifted:
    """Adds δᵢ to the layer's output wherever the query is qᵢ. A `Change`."""

    overrides: Mapping[str, Tensor] = MappingProxyType({})

    def __init__(self, queries: Tensor, shifts: Tensor) -> None:
        self.queries, self.shifts = queries, shifts
        self._reach = SAME * queries.norm(dim=1)

    def __call__(self, q: Tensor, out: Tensor) -> Tensor:
        """`out` plus the shifts of the queries that are there."""
        here = distances(q, self.queries) <= self._reach
        more: Tensor = here.to(out.dtype) @ self.shifts.to(out.dtype)
        return out + more


class ToWrite(NamedTuple):
    """What is to be written: at n positions, ``W k = out + δ``.

    Attributes:
        keys: k [n, f], what the map that writes is given there, in float64.
        shifts: δ [n, d], in float64.
        places: which token of its answer each position says first [n]; positions at one place say one thing.
    """

    keys: Tensor
    shifts: Tensor
    places: Tensor


class _At(NamedTuple):
    """The rows that were drawn, by number, and of those that get a δ their number among these, and where it goes."""

    picks: Sequence[int]
    rows: Mapping[int, Row]


def _wanted(settings: Shifting, delta: FactorBank, lesson: Lesson, tail: Tail, at: _At) -> tuple[ToWrite, int]:
    """Optimise δ; and the steps that took.

        L = mean over texts [ mean over tokens −log p ] + w · mean ‖δ‖ ÷ ‖out‖²        ‖δ‖ ≤ c ‖out‖

    Behind the last layer every token of an answer has its own position; below it the first alone moves all of them.

    **Deviates:** there are no prefixes before the prompt, and no KL term on "{subject} is a", which are English; what
    the memory says is in C. The position is the one that is answered from unless told otherwise, not the subject's last
    token: of most sentences nobody knows the subject, in most languages it is not there literally, and a classifier
    reads nothing there.
    """
    picks = at.picks
    rows = tail.rows([lesson.rows[i] for i in picks], delta, views=0, generator=lesson.generator)
    targets = torch.tensor([lesson.wanted[i] for i in picks], device=rows.q.device)
    places = torch.tensor([lesson.index[picks[i]] if lesson.index else 0 for i in at.rows], device=rows.q.device)
    queries = tail.queries(list(at.rows.values()))
    with tail.site.evaluating():
        each = torch.arange(len(places), device=rows.q.device)
        own = torch.unique(places, return_inverse=True)[1] if settings.together else each
        loss = _Loss(settings, rows, targets, lesson.shares(picks).to(rows.q))
        shifts, steps = loss.least(Positions(queries, own, tail.site, delta))
    return ToWrite(keys_of(tail.site, queries.q), shifts[own, 0].double(), places), steps


@dataclass(frozen=True, eq=False)
class Positions:
    """Where shifts go.

    Attributes:
        queries: q [n, D] and what else the layer's output needs.
        own: which of m shifts each gets [n].
        site, delta: the layer, and what was edited so far.
    """

    queries: Queries
    own: Tensor
    site: FeedForwardSite
    delta: FactorBank

    @cached_property
    def entry(self) -> ResidualToQuery:
        """What a move of the residual does to a query."""
        return ResidualToQuery(self.site.layer)

    def out(self, q: Tensor) -> Tensor:
        """The layer's output [n, d] at queries, as edited so far."""
        return self.delta(q, self.site.ffn(q))  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class _Loss:
    """What δ is to make small."""

    settings: Shifting
    rows: Trainable
    targets: Tensor
    shares: Tensor

    def least(self, at: Positions) -> tuple[Tensor, int]:
        """δ [m, parts, d], and the steps it took."""
        settings, count = self.settings, int(at.own.max()) + 1
        with torch.no_grad():
            out = at.out(at.queries.q)
        tiny = torch.finfo(out.dtype).tiny
        unit = out.norm(dim=1).clamp(min=tiny)
        length = torch.stack([unit[at.own == i].mean() for i in range(count)]).unsqueeze(1)
        shifts = out.new_zeros(count, settings.parts, out.shape[1]).requires_grad_()
        optimiser = torch.optim.Adam([shifts], lr=settings.learning_rate)
        for step in range(settings.max_steps):
            answers = self._answers(Shifted(at.queries.q, settings.moved(at, shifts[at.own])))
            loss = answers + settings.weight_decay * (shifts.norm(dim=2) / length.square()).sum(1).mean()
            if float(loss.detach()) < settings.enough:
                return shifts.detach(), step
            (shifts.grad,) = torch.autograd.grad(loss, [shifts])
            optimiser.step()
            with torch.no_grad():
                longest = settings.clamp * length / shifts.norm(dim=2).clamp(min=tiny)
                shifts *= longest.clamp(max=1).unsqueeze(2)
        return shifts.detach(), settings.max_steps

    def _answers(self, change: Shifted) -> Tensor:
        logits = self.rows.evaluate(change)[1]
        return self.shares @ functional.cross_entropy(logits, self.targets, reduction="none")
