"""WISE: a side copy of the matrix that writes, and a router that asks it for what was edited (Wang et al., 2024).

    ‖Δk‖ > t:  FFN'(q) = FFN(q) + Δk        else:  FFN'(q) = FFN(q)

    L = CE + [D_out − D_in + γ]₊ + [D_out − α]₊ + [β − D_in]₊,        D = ‖Δk‖ ÷ u

k is what the writing matrix is given, D_in are the edit's rows, D_out the memory's, u is how long FFN(q) is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional

from polypatch.deltas import Delta, SideMemory
from polypatch.editors.asked_at import AddedAt
from polypatch.editors.descent import Descent
from polypatch.editors.editor import Copies, Drawn, Fit, Lesson, Rate, Steps, Weight, expect
from polypatch.editors.memory import Memory, MemoryRows
from polypatch.editors.metric import metric
from polypatch.errors import InputError
from polypatch.settings import Settings, above, at_least
from polypatch.sites import UNCHANGED, FeedForwardSite, Tail


def margin_loss(inside: Tensor, outside: Tensor, alpha: float, beta: float, gamma: float) -> Tensor:
    """``[D_out − D_in + γ]₊ + [D_out − α]₊ + [β − D_in]₊``, each the mean over the pairs or rows where it is above 0.

    Args:
        inside: D of the edit's rows [n].
        outside: D of the memory's [m].
        alpha: the memory stays within it.
        beta: the edit lies beyond it.
        gamma: so far apart are the two.
    """
    terms = outside.unsqueeze(1) - inside + gamma, outside - alpha, beta - inside
    return torch.stack([_excess(term) for term in terms]).sum()


def _excess(term: Tensor) -> Tensor:
    return term.clamp(min=0).sum() / (term > 0).sum().clamp(min=1)


@dataclass(frozen=True)
class OutOfReach:
    """What must stay out of the side copy's reach.

    Attributes:
        unit: u, the mean length of the layer's output on the memory.
        outside: k of some rows of the memory [m, f].
        metric: P [f, f].
    """

    unit: float
    outside: Tensor
    metric: Tensor


@dataclass(frozen=True, kw_only=True)
class WISE(Settings):
    """Gradient descent on one side copy, in a metric P in which the memory and past edits are hardly moved.

    ::

        Δ ← Δ − η u² (∂L/∂Δ) P,        P ∝ (Σ cᵢ kᵢkᵢᵀ + ρ·mean)⁻¹

    The sum is over the memory and past edits, cᵢ is how often they count, and kᵀPk is 1 in the memory's mean. After an
    edit t is `ratio` times the smallest D_in that any edit ended with, but not below α.

    Attributes:
        alpha, beta, gamma: the margins, in units of u.
        learning_rate: η.
        max_steps: give up after so many.
        confidence: an edit is learned where every wanted id has this probability, and no margin is violated.
        ratio: of the threshold to the smallest D_in.
        ridge: ρ, relative to the mean diagonal of the memory's sum.
        known_rows: rows of the memory in the sum, drawn for each edit; `apart_rows` of them are in the margins.
        memory_copies: how often each row of a finished edit counts in the sum for the next ones.

    **Deviates:** the router compares ``‖Δk‖`` (the paper's eq. 5; the released code the copies' outputs after an
    activation) position by position, where the code takes a prompt's mean. The margins are 5, 20 and 10 there, in
    activations of a 7B model; here a tenth of that, in units of u. There a random fifth of the matrix is trained, and
    clamped to W ± 1. In a small model all k are alike, so edits trained like that are soon forgotten: P takes the place
    of both. No weight decay, which moves all of the matrix. One shard, so there is nothing to merge. P, η, ρ and the
    margins were chosen on 30 edits of the embedded world of seed 3 and 15 facts of a small language model.
    Source: github.com/zjunlp/EasyEdit, read as facts; `docs/deviations.md`.
    """

    alpha: Weight = 0.5
    beta: Weight = 2.0
    gamma: Weight = 1.0
    learning_rate: Rate = 0.3
    max_steps: Steps = 70
    confidence: Annotated[float, above(0, below=1)] = 0.9
    ratio: Annotated[float, above(0, below=1)] = 0.88
    ridge: Annotated[float, above(0)] = 0.03
    known_rows: Annotated[int, at_least(1)] = 2048
    apart_rows: Annotated[int, at_least(1)] = 256
    memory_copies: Copies = 1000

    exact = False
    protects_right = False

    def start(self, site: FeedForwardSite) -> SideMemory:
        """A side copy that is the main one."""
        return SideMemory(site)

    def learn(self, delta: Delta, lesson: Lesson, tail: Tail, memory: Memory) -> Fit:
        """Train the side copy on the lesson, and let the router know how far it is from the main one there.

        Raises:
            InputError: there is no memory to keep out of its reach.
        """
        delta, drawn = expect(SideMemory, delta, self), Drawn(lesson)
        scope = self._scope(delta, tail.site, memory.train, lesson.generator)
        rows = tail.rows(lesson.rows, UNCHANGED, views=0, generator=lesson.generator)
        targets, count = torch.tensor(lesson.wanted, device=rows.q.device), len(rows.q)
        k = torch.cat([delta.written_from(rows.q), scope.outside])
        descent = Descent(delta.adds(k), k, scope.metric)
        for step in range(self.max_steps + 1):
            picks = drawn()
            seen = torch.tensor(drawn.seen, device=targets.device)
            added = descent.outputs()
            logits = rows.forward(seen, AddedAt(rows.q, added[:count]))[1]
            share = logits.detach().softmax(-1).gather(1, targets[seen].unsqueeze(1))
            lengths = added.norm(dim=1) / scope.unit
            inside = lengths[seen]
            margins = margin_loss(inside, lengths[count:], self.alpha, self.beta, self.gamma)
            sure = float(share.min()) >= self.confidence
            if (sure and not float(margins.detach())) or step == self.max_steps:
                break
            batch = [drawn.seen.index(pick) for pick in picks]
            loss = functional.cross_entropy(logits[batch], targets[seen[batch]]) + margins
            (gradient,) = torch.autograd.grad(loss, [added])
            descent.step(-self.learning_rate * scope.unit**2 * gradient)
        delta.move(descent.moved())
        delta.reach(scope.unit * max(self.ratio * float(inside.detach().min()), self.alpha))
        right = torch.equal(logits.argmax(-1), targets[seen])
        return Fit(step, drawn.seen, "" if right else f"not right on every text after {self.max_steps} steps")

    def _scope(
        self, delta: SideMemory, site: FeedForwardSite, memory: MemoryRows, generator: torch.Generator
    ) -> OutOfReach:
        if not memory.base:
            raise InputError("WISE keeps the memory out of its side copy's reach: pass memory= with some texts")
        drawn = torch.randperm(memory.base, generator=generator)[: self.known_rows]
        numbers = torch.cat([drawn, torch.arange(memory.base, memory.used)]).to(memory.rows.device)
        k, counts = delta.written_from(memory.rows[numbers]).double(), memory.counts[numbers].double()
        known = k[: len(drawn)]
        trace = float(known.square().sum(1) @ counts[: len(drawn)])
        measure = metric(k, counts, self.ridge * trace / k.shape[1])
        measure /= ((known @ measure) * known).sum(1).mean()
        with torch.no_grad():
            unit = float(site.ffn(memory.rows[numbers[: len(drawn)]]).norm(dim=1).mean())
        return OutOfReach(unit, known[: self.apart_rows].to(delta.delta.dtype), measure.to(delta.delta.dtype))
