"""GRACE: a codebook of outputs, each valid within a radius of the query it was written for (Hartvigsen et al., 2023).

    q within r of the nearest key k:  FFN'(q) = v        anywhere else:  FFN'(q) = FFN(q)

Keys are the edits' own queries; v is trained through the tail; the radius grows where an edit agrees with its nearest
entry, and both are halved where it does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional

from polypatch.deltas import Codebook, Delta
from polypatch.editors.editor import Drawn, Fit, Lesson, Rate, Steps, expect
from polypatch.editors.memory import Memory
from polypatch.errors import InputError
from polypatch.settings import Settings, above
from polypatch.sites import UNCHANGED, FeedForwardSite, Tail, Trainable

SLACK = 1e-3
"""A radius ends so much, relatively, beyond or before a query: the same text's query differs in its last bits."""


class Written:
    """A value that stands in for the layer's output, whatever the query, or near a key alone. A `Change`."""

    overrides: Mapping[str, Tensor] = MappingProxyType({})

    def __init__(self, value: Tensor, key: Tensor | None = None, radius: float = 0.0) -> None:
        self.value, self.key, self.radius = value, key, radius

    def __call__(self, q: Tensor, out: Tensor) -> Tensor:
        """The value, once per row that it is for."""
        value = self.value.to(out.dtype).expand_as(out)
        if self.key is None:
            return value
        return torch.where(((q - self.key).norm(dim=-1) <= self.radius).unsqueeze(-1), value, out)


@dataclass(frozen=True)
class Deferral:
    """What a new query makes of the radii.

    Attributes:
        nearest: the radius that the nearest entry has from now on.
        own: the radius of the query's own entry; None where it needs none, as the nearest covers it.
    """

    nearest: float
    own: float | None


def deferral(distance: float, radius: float, initial: float, *, agrees: bool) -> Deferral:
    """The radii after an edit at `distance` from the nearest key, whose entry has this `radius`.

    ``distance > radius + initial``: a new entry with the initial radius. Nearer: where the entry `agrees`, it is
    widened to cover the query; where it does not, both get half the distance.

    **Deviates:** a split never widens (the released code sets half the distance even where a radius was less), and
    leaves both a thousandth of the initial radius (there, two edits of one query end with −1e-5 and 0).
    """
    if distance > radius + initial:
        return Deferral(radius, initial)
    if agrees:
        return Deferral(max(radius, distance * (1 + SLACK)), None)
    half = max(distance / 2 * (1 - SLACK), SLACK * initial)
    return Deferral(min(radius, half), min(initial, half))


@dataclass(frozen=True, kw_only=True)
class GRACE(Settings):
    """One entry of a codebook for each text of an edit, unless an entry near by does for it.

    Draws once, so a sampler that redraws at every step is asked for its first draw only.

    Attributes:
        radius: the initial radius, in units of the memory's spread: the root of the mean squared distance of its
            queries from their mean. Of 0.1, 0.2, 0.3, 0.4 and 0.6 the largest under which every edit still held after
            150 edits of the embedded world of seed 3 and 60 of MASSIVE's dev rows.
        learning_rate: of Adam on a value.
        max_steps: give up after so many steps.
        confidence: stop where the wanted class has this probability.

    **Deviates:** the released radius is 1.0, in whatever unit a layer's activations have. Values start from the
    layer's own output (there from random numbers in [0, 1)) and are trained until `confidence`, not for 100 steps
    always. An entry near by agrees where it has the same class *and* its value makes the text right; it is never
    trained again for a later edit, and one of the same class that does not do stays as it is beside a new one.
    Source: github.com/Thartvigsen/GRACE, commit 457f3b7, read as facts; `docs/deviations.md`.
    """

    radius: Annotated[float, above(0, hint="an entry of none covers nothing")] = 0.1
    learning_rate: Rate = 1.0
    max_steps: Steps = 100
    confidence: Annotated[float, above(0, below=1)] = 0.9

    exact = False
    memory_copies = 0
    protects_right = False

    def start(self, site: FeedForwardSite) -> Codebook:
        """An empty codebook."""
        return Codebook(site.hidden_size, site.width, site.device, site.dtype)

    def learn(self, delta: Delta, lesson: Lesson, tail: Tail, memory: Memory) -> Fit:
        """Write the lesson's texts into the codebook.

        Raises:
            InputError: the memory has no spread to measure the radius by.
        """
        delta = expect(Codebook, delta, self)
        initial = self.radius * spread(memory)
        drawn = Drawn(lesson)
        steps, wrong = 0, 0
        picks = drawn()
        if lesson.written and not tail.site.lower:  # a token that is said needs no entry
            said = tail.said([lesson.rows[pick] for pick in picks], delta).ids.tolist()
            picks = [pick for pick, one in zip(picks, said, strict=True) if one != lesson.wanted[pick]]
        answers = [lesson.whole([pick], picks) for pick in picks] if tail.site.lower else [[pick] for pick in picks]
        for answer in filter(None, answers):
            more, right = self._write(delta, lesson, answer, tail, initial)
            steps, wrong = steps + more, wrong + (not right)
        reason = f"{wrong} of {len(drawn.seen)} values not right after {self.max_steps} steps" if wrong else ""
        return Fit(steps, drawn.seen, reason)

    def _write(
        self, book: Codebook, lesson: Lesson, picks: Sequence[int], tail: Tail, initial: float
    ) -> tuple[int, bool]:
        """One text, or the rows of one answer, the first of which gets the entry: steps, and whether it is right."""
        rows = tail.rows([lesson.rows[pick] for pick in picks], UNCHANGED, views=0, generator=lesson.generator)
        target = torch.tensor([lesson.wanted[pick] for pick in picks], device=rows.q.device)
        own: float | None = initial
        if book.patches:
            nearest, apart = book.nearest(rows.q[:1])
            entry, distance = int(nearest), float(apart)
            radius, same = float(book.radii[entry]), bool(book.classes[entry] == target[0])
            written = Written(book.values[entry], book.keys[entry] if tail.site.lower else None, max(radius, distance))
            does = same and bool((rows.evaluate(written)[1].argmax(-1) == target).all())
            if does or not same:
                after = deferral(distance, radius, initial, agrees=same)
                own = after.own
                if after.nearest != radius:
                    book.resize(entry, after.nearest)
        if own is None:
            return 0, True
        near = partial(Written, key=rows.q[0], radius=own) if tail.site.lower else Written
        value, steps, right = self._value(rows, target, tail.site, near)
        book.append(lesson.owner, rows.q[0], value, own, lesson.wanted[picks[0]])
        return steps, right

    def _value(
        self, rows: Trainable, target: Tensor, site: FeedForwardSite, written: Callable[[Tensor], Written]
    ) -> tuple[Tensor, int, bool]:
        """v, the steps it took, and whether it gives its text the class."""
        value = site.ffn(rows.q)[0].detach().requires_grad_()
        optimiser = torch.optim.Adam([value], lr=self.learning_rate)
        picks = torch.arange(len(target), device=target.device)
        for step in range(self.max_steps + 1):
            logits = rows.forward(picks, written(value))[1]
            loss = functional.cross_entropy(logits, target)
            if float(loss.detach().neg().exp()) >= self.confidence or step == self.max_steps:
                break
            (value.grad,) = torch.autograd.grad(loss, [value])
            optimiser.step()
        return value.detach(), step, bool((logits.argmax(-1) == target).all())


def spread(memory: Memory) -> float:
    """The root of the mean squared distance of the memory's queries from their mean."""
    rows, counts = memory.train.rows, memory.train.counts.to(memory.train.rows)
    away = rows - rows[:1]  # exactly 0 where all are one, which a mean of copies need not be
    away -= counts @ away / counts.sum()
    spread = float((counts @ away.square().sum(1) / counts.sum()).sqrt())
    if not spread > 0.0:  # NaN as well
        raise InputError("a radius is measured by the spread of the memory: pass memory= with two texts or more")
    return spread
