"""SimIE: any editor of matrices made to last, by what it would have done to the unedited model (Guo et al., 2025).

    W_t = W_{t−1} + (Ŵ − W_{t−1}) KᵀK M⁻¹,    M = λI + Σ KᵀK over all edits so far, this one included

Ŵ is what the other editor makes of the *unedited* matrix, the rows of K [n, f] what the map is given in the edit's
texts. With ΔW = W − W₀ that is ``ΔW_t M_t = ΔW_{t−1} M_{t−1} + (Ŵ − W₀) KᵀK``, and so, in any order of the edits,

    ΔW = Vᵀ K (λI + KᵀK)⁻¹,    vᵢ = (Ŵ − W₀) kᵢ,    of the rows of all edits:

the ridge regression of what the other editor gives each row. A row is an edit's own, and is cut out with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from polypatch.deltas import Delta, FactorBank, RidgeBank
from polypatch.deltas.factor_bank import LEFT, RIGHT
from polypatch.editors.editor import Editor, Fit, Lesson, expect
from polypatch.editors.memory import Memory, MemoryRows
from polypatch.editors.rome import ROME
from polypatch.settings import Settings, above
from polypatch.sites import FeedForwardSite, Row, Tail
from polypatch.sites.layers.linear_maps import layer_pass

_ROME = ROME()

SAMPLE = 1024
"""Rows of the memory that say how long what maps are given is."""


@dataclass(frozen=True, kw_only=True)
class SimIE(Settings):
    """Learns every edit by another editor on the unedited model, and fits all of them at once.

    Attributes:
        base: the other editor, one that leaves terms of matrices: ROME, MEMIT, EMMET, AlphaEdit, UltraEdit, KN.
        ridge: λ, in units of the mean ‖k‖² over the memory.

    **Deviates:** λ is 10⁴ there, in the units of models of 7 billion parameters. K has all positions of the edit's
    texts, as there, where the model reads all; of a classifier's last layer it has the one that is read.
    Source: EasyEdit's ``simie``, commit 14cea82, read as facts; `docs/deviations.md`.
    """

    base: Editor = _ROME
    ridge: Annotated[float, above(0)] = 1e-2

    exact = False
    protects_right = False

    @property
    def memory_copies(self) -> int:
        """The other editor's."""
        return self.base.memory_copies

    def start(self, site: FeedForwardSite) -> RidgeBank:
        """No terms."""
        return RidgeBank(site, self._alone(site).scope)

    def _alone(self, site: FeedForwardSite) -> FactorBank:
        return expect(FactorBank, self.base.start(site), self)

    def learn(self, delta: Delta, lesson: Lesson, tail: Tail, memory: Memory) -> Fit:
        """What the other editor would give each row of the lesson, beside that of all others."""
        delta, alone = expect(RidgeBank, delta, self), self._alone(tail.site)
        fit = self.base.learn(alone, lesson, tail, memory)
        given = _given(tail.site, tail.queries(_positions(tail.site, [lesson.rows[i] for i in fit.drawn])).q)
        lengths, tensors, terms = _lengths(tail.site, memory.train), alone.tensors(), {}
        for name in alone.maps:
            keys = given[name].double()
            left, right = (tensors[name + side].to(keys) for side in (LEFT, RIGHT))
            unit = math.sqrt(self.ridge * lengths[name])
            terms[name] = (keys @ right.T @ left / unit, keys / unit)
        delta.extend(lesson.owner, terms)
        return fit


def _positions(site: FeedForwardSite, rows: Sequence[Row]) -> list[Row]:
    """Every position of the texts where the model reads all, each once; else the rows."""
    if not site.anatomy.everywhere:
        return list(rows)
    return list(dict.fromkeys(Row(one.tokens, i, one.context) for one in rows for i in range(len(one.tokens))))


def _given(site: FeedForwardSite, q: Tensor) -> dict[str, Tensor]:
    """What each map is given for queries [n, D], unedited."""
    with torch.no_grad():
        return layer_pass(site.layer, q[:, : site.hidden_size]).given


def _lengths(site: FeedForwardSite, rows: MemoryRows) -> dict[str, float]:
    """The mean ‖k‖² of each map over a memory; 1 where there is none."""

    def measured() -> dict[str, float]:
        given = _given(site, rows.rows[rows.spread(SAMPLE)])
        return {name: float(keys.double().square().sum(1).mean()) if len(keys) else 1.0 for name, keys in given.items()}

    return rows.once("lengths of what maps are given", measured)
