"""Loudest: the memory rows with the largest activations, exactly, without reading the whole memory at every step.

The memory loss needs the `top` largest of h_i = q_i·k + b, M of them, at every step: at M = 40,000 and d = 768 that is
123 MB read per step, nearly all of an edit's time. Between two full passes only a shortlist is read, and a bound says
when that is still exact. With μ the mean row and t₀ the step of the last full pass,

    h_i(t) = h_i(t₀) + μ·Δk + (q_i − μ)·Δk + Δb  ≤  h_i(t₀) + μ·Δk + ‖q_i − μ‖·‖Δk‖ + Δb        (Δ: since t₀)

so as long as the `top`-th activation on the shortlist is above that bound's largest value outside it, no row outside
can belong among the `top`; otherwise the full pass is made again.
"""

from __future__ import annotations

import torch
from torch import Tensor

from polypatch.editors.memory import MemoryRows

SHORTLIST = 3
"""Rows on the shortlist, in units of `top`."""


class Loudest:
    """Exact top activations of one memory for a key that moves step by step.

    Args:
        memory: the rows; must not change while this object lives.
        top: how many activations, multiplicities counted, are wanted.

    Attributes:
        full_passes: how often the whole memory was read.
    """

    def __init__(self, memory: MemoryRows, top: int) -> None:
        self.rows, self.counts, self.top = memory.rows, memory.counts, top
        self.full_passes = 0
        self._size = min(SHORTLIST * top, len(self.rows))
        self._short, self._short_counts = self.rows, self.counts
        self._start: Tensor | None = None
        self._outside = -torch.inf
        # A memory no larger than the shortlist is read whole, and needs no bound.
        self._mean: Tensor | None = None
        if self._size < len(self.rows):
            self._mean, self._radius = memory.spread

    def activations(self, key: Tensor, bias: Tensor) -> Tensor:
        """Activations h [R] in falling order, R = min(top, Σ counts), differentiable in `key` and `bias`.

        A row that counts c times stands c times.
        """
        loud, order = self._shortlisted(key)
        if self._mean is not None and not self._is_exact(key.detach(), loud.detach()):
            self._full_pass(key.detach())
            loud, order = self._shortlisted(key)
        counts = self._short_counts[order]
        if int(counts.max()) > 1:
            loud = loud.repeat_interleave(counts)[: self.top]
        return loud + bias

    def _shortlisted(self, key: Tensor) -> tuple[Tensor, Tensor]:
        h = self._short @ key
        loud, order = h.topk(min(self.top, len(h)))
        return loud, order

    @torch.no_grad()
    def _full_pass(self, key: Tensor) -> None:
        self.full_passes += 1
        # One row more than the shortlist holds: everything outside is at most as loud as that row.
        loud, order = (self.rows @ key).topk(self._size + 1)
        self._short, self._short_counts = self.rows[order[:-1]], self.counts[order[:-1]]
        self._outside, self._start = float(loud[-1]), key.clone()

    def _is_exact(self, key: Tensor, loud: Tensor) -> bool:
        if self._start is None or self._mean is None:
            return False
        moved = key - self._start
        bound = self._outside + float(self._mean @ moved) + self._radius * float(moved.norm())
        # Counts only make the wanted list shorter, so the `top`-th distinct row is a safe one to compare. The slack
        # covers the rounding of two matrix products over the same numbers.
        return float(loud[-1]) >= bound + 1e-5 * (1.0 + abs(bound))
