"""UltraEdit: one step along scaled gradients, without training anything (Gu et al., 2025).

    ΔW = Vᵀ (H Hᵀ + ρI)⁻¹ H,    vᵢ = −η ‖ĥᵢ‖² ĝᵢ,    [ĥ; ĝ] = [h; g] ÷ s,    s² = mean of [h; g]² over all edits so far

The rows of H [n, f] are what the map was given at the positions of an edit, those of G [n, d] the gradients by what it
gave. It is the released ``ΔWᵀ = (HᵀH + I)⁻¹ HᵀV``, solved in n dimensions and not in f.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import torch
from torch import Tensor

from polypatch.deltas import Delta, GradientBank
from polypatch.editors.editor import Drawn, Fit, Lesson, Rate, expect
from polypatch.editors.gradients import gradients_of
from polypatch.editors.least_changes import least_changes
from polypatch.editors.memory import Memory
from polypatch.settings import Settings, above
from polypatch.sites import FeedForwardSite, Tail

NONE = 1e-6
"""A scale, in units of the largest coordinate's, that is one of rounding."""


class Pairs(NamedTuple):
    """h [n, f] and g [n, d] of n positions."""

    given: Tensor
    gave: Tensor


def scaled(rows: Tensor, known: Tensor) -> Tensor:
    """Each coordinate in units of its root mean square over `known`. rows: [n, d]; known: [m, d], m ≥ 1."""
    size = known.square().mean(0).sqrt()
    return rows / (size + NONE * size.max()).clamp(min=torch.finfo(size.dtype).tiny)


def step(pairs: Pairs, known: Pairs, rate: float, ridge: float) -> tuple[Tensor, Tensor]:
    """ΔW as n terms.

    Args:
        pairs: H and G of the edit.
        known: of all edits so far, of this one as well.
        rate: η.
        ridge: ρ.

    Returns:
        l [n, d] and r [n, f].
    """
    given, gave = pairs
    wanted = -rate * scaled(given, known.given).square().sum(1, keepdim=True) * scaled(gave, known.gave)
    return least_changes(given, wanted, ridge)


@dataclass(frozen=True, kw_only=True)
class UltraEdit(Settings):
    """One closed-form step per edit, against its gradient.

    Attributes:
        learning_rate: η f ÷ u, u being the root mean square of what the unedited map gives and f the length of what it
            is given: by so many u a usual row moves each coordinate of a usual gradient.
        ridge: ρ, in units of the mean ‖h‖².
        scope: which maps change: the one that writes the layer's output, or all.

    **Deviates:** rows are scaled, not standardised: the released code takes the mean away first. Few classes have few
    directions of gradient, whose mean is no small part of them, and a row that is right already, whose gradient is 0,
    would move by it. With it goes the trap that a single row has no standard deviation. One layer, where the released
    code changes several; one edit at a time, not batches of 10; statistics of each map, not of all maps of one shape. η
    is 10⁻⁶ there and ρ is 1, in the units of models of 7 billion parameters. Below the last layer the rows are of all
    positions that the answer looks at, not of the answer's alone.
    Source: the released UltraEdit, commit 0beb222, read as facts; `docs/deviations.md`.
    """

    learning_rate: Rate = 1.5
    ridge: Annotated[float, above(0)] = 0.1
    scope: Literal["writer", "ffn"] = "writer"

    exact = False
    memory_copies = 0
    protects_right = False

    def start(self, site: FeedForwardSite) -> GradientBank:
        """No terms."""
        return GradientBank(site, self.scope)

    def learn(self, delta: Delta, lesson: Lesson, tail: Tail, memory: Memory) -> Fit:
        """One step on what the first draw says."""
        del memory
        delta = expect(GradientBank, delta, self)
        drawn = Drawn(lesson)
        found = gradients_of(delta, lesson, drawn(), tail)
        terms = {}
        for name, one in delta.maps.items():
            own = Pairs(found.given[name].double(), found.gave[name].double())
            known = Pairs(*(torch.cat([old.double(), new]) for old, new in zip(delta.seen(name), own, strict=True)))
            weight = one.as_kept(tail.site.matrices("ffn")[one.weight].detach().double())
            unit = float((known.given @ weight.T).square().mean().sqrt())
            ridge = self.ridge * float(known.given.square().sum(1).mean())
            terms[name] = (*step(own, known, self.learning_rate * unit / one.given, ridge), own.gave)
        delta.extend(lesson.owner, terms)
        return Fit(1, drawn.seen)
