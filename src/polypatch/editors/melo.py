"""MELO: a low-rank block of the layer's matrices for each edit, chosen by clusters of queries (Yu et al., 2024).

q in a cluster:  FFN'(q) is the layer with W + BᵢAᵢ, i being the block of the cluster's nearest point
anywhere else:   FFN'(q) = FFN(q)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional

from polypatch.deltas import BlockBook, Delta
from polypatch.editors.asked_at import AskedAt
from polypatch.editors.editor import Drawn, Fit, Lesson, Rate, Steps, expect
from polypatch.editors.grace import SLACK, deferral, spread
from polypatch.editors.memory import Memory
from polypatch.settings import Settings, above, at_least
from polypatch.sites import UNCHANGED, FeedForwardSite, Tail, Trainable

LowRankBlock = Mapping[str, tuple[Tensor, Tensor]]
"""A [r, given] and B [out, r] of each matrix, by its name."""


@dataclass(frozen=True, kw_only=True)
class MELO(Settings):
    """One low-rank block for each edit, and a point for each of its texts in the cluster that chooses it.

    Draws once, so a sampler that redraws at every step is asked for its first draw only.

    Attributes:
        radius: the initial radius of a cluster, in units of the memory's spread, as `GRACE` has it.
        rank: r of a block.
        learning_rate: of Adam on a block.
        max_steps: give up after so many.
        halve_every: the rate is halved every so many steps.
        confidence: stop where every wanted id has this probability.

    **Deviates:** the released clusters lie at one layer, with a radius of 0.5 in whatever unit it has, and the blocks
    at later ones; here both are at the same, on all matrices of its feed-forward layer. There a block is trained by a
    batch of four edits, for 50 steps at 1e-3; here by one edit, until `confidence`, and at ten times that rate: in one
    layer of a small model 1 edit of 30 took at the published one. The update is BA, as theirs is where alpha is r. An
    edit of the same id widens a cluster and never narrows it; one of another never widens it (`GRACE`); a centre stays
    the mean of points that were pushed out as well. The radius is the largest of 0.1, 0.15, 0.2 and 0.3 under which
    each of 30 edits of the embedded world of seed 3 held, drawn with a second language as well.
    Source: EasyEdit's form, github.com/zjunlp/EasyEdit, read as facts; `docs/deviations.md`.
    """

    radius: Annotated[float, above(0, hint="a cluster of none covers nothing")] = 0.1
    rank: Annotated[int, at_least(1)] = 2
    learning_rate: Rate = 1e-2
    max_steps: Steps = 50
    halve_every: Annotated[int, at_least(1)] = 20
    confidence: Annotated[float, above(0, below=1)] = 0.9

    exact = False
    memory_copies = 0
    protects_right = False

    def start(self, site: FeedForwardSite) -> BlockBook:
        """An empty book."""
        return BlockBook(site, self.rank)

    def learn(self, delta: Delta, lesson: Lesson, tail: Tail, memory: Memory) -> Fit:
        """Train a block on the lesson, and write its texts into the book.

        Raises:
            InputError: the memory has no spread to measure the radius by.
        """
        book, initial, drawn = expect(BlockBook, delta, self), self.radius * spread(memory), Drawn(lesson)
        picks = drawn()
        if lesson.written and not tail.site.lower:  # a token that is said needs no block
            said = tail.said([lesson.rows[pick] for pick in picks], book).ids.tolist()
            picks = [pick for pick, one in zip(picks, said, strict=True) if one != lesson.wanted[pick]]
        if not picks:
            return Fit(0, drawn.seen)
        rows = tail.rows([lesson.rows[pick] for pick in picks], UNCHANGED, views=0, generator=lesson.generator)
        targets = torch.tensor([lesson.wanted[pick] for pick in picks], device=rows.q.device)
        points = lesson.firsts(picks) if tail.site.lower else list(range(len(picks)))
        block = self._drawn(book, lesson.generator)
        steps, right = self._train(book, block, rows, targets, rows.q[points])
        number = book.add_block(block)
        for point in points:
            place(book, lesson.owner, rows.q[point], int(targets[point]), number, initial)
        return Fit(steps, drawn.seen, "" if right else f"not right on every text after {self.max_steps} steps")

    def _drawn(self, book: BlockBook, generator: torch.Generator) -> dict[str, tuple[Tensor, Tensor]]:
        """A uniform in ±1 ÷ √(its inputs), B zero."""
        block = {}
        for name, one in book.maps.items():
            a = (2 * torch.rand(self.rank, one.given, generator=generator) - 1) / one.given**0.5
            a = a.to(book.keys).requires_grad_()
            block[name] = a, a.new_zeros(one.out, self.rank).requires_grad_()
        return block

    def _train(
        self, book: BlockBook, block: LowRankBlock, rows: Trainable, targets: Tensor, at: Tensor
    ) -> tuple[int, bool]:
        """The steps it took, and whether all rows are right."""
        factors = [factor for pair in block.values() for factor in pair]
        optimiser = torch.optim.Adam(factors, lr=self.learning_rate)
        schedule = torch.optim.lr_scheduler.StepLR(optimiser, self.halve_every, 0.5)
        change, picks = AskedAt(at, lambda q, _: book.through(q, block)), torch.arange(len(targets), device=at.device)
        for step in range(self.max_steps + 1):
            logits = rows.forward(picks, change)[1]
            share = logits.detach().softmax(-1).gather(1, targets.unsqueeze(1))
            if float(share.min()) >= self.confidence or step == self.max_steps:
                break
            loss = functional.cross_entropy(logits, targets)
            for factor, gradient in zip(factors, torch.autograd.grad(loss, factors), strict=True):
                factor.grad = gradient
            optimiser.step()
            schedule.step()
        return step, bool((logits.argmax(-1) == targets).all())


def place(book: BlockBook, owner: str, key: Tensor, label: int, block: int, initial: float) -> None:
    """Make a query [d] a point: of the nearest cluster where that is for the same id, else of a cluster of its own."""
    if not len(book.radii):
        book.add_point(owner, key, book.add_cluster(initial, label), block)
        return
    cluster, distance = book.nearest(key)
    radius = float(book.radii[cluster])
    if distance <= radius + initial and int(book.classes[cluster]) == label:
        book.add_point(owner, key, cluster, block)
        book.resize(cluster, max(radius, float(book.spread(cluster).max()) * (1 + SLACK)))
        return
    after = deferral(distance, radius, initial, agrees=False)
    if after.nearest != radius:
        book.resize(cluster, after.nearest)
    assert after.own is not None
    book.add_point(owner, key, book.add_cluster(after.own, label), block)
