"""Loudest: the memory rows that enter the memory loss, exactly, without reading the whole memory at every step.

The loss wants the largest of h_i = q_i·k + b, M of them, at every step. Reading all rows is 123 MB at M = 40,000 and
d = 768, most of an edit's time; yet a hundred rows settle the loss, and both a key in training and the memory itself
lie along few directions. So the memory is read once per direction: e_1, e_2, … are orthonormal, a_ij = q_i·e_j is
remembered, and

    k = Σ_j c_j e_j + r        q_i·k = Σ_j c_j a_ij + q_i·r  ≤  Σ_j c_j a_ij + ρ_i ‖r‖        ρ_i² = ‖q_i‖² − Σ_j a_ij²

bounds every row, by Cauchy-Schwarz in the directions not read yet. The rows on a shortlist are evaluated at every step.
As long as the bound of no other row reaches the quietest activation that is wanted, the answer is exact; otherwise the
shortlist is drawn up anew. Where that is not enough the memory is read along r, which closes the gap in the bound. The
first directions are the memory's own (`leading.py`); every edit begins with them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from polypatch.editors.memory import MemoryRows

SHORTLIST = 1024
"""Rows on the shortlist, or `top` if more. A memory no larger is read whole."""

DIRECTIONS = 64
"""Directions remembered beside the memory's own before they are forgotten; an edit of a few hundred steps needs ten."""

ROUNDING = 1e-5
"""Slack in units of ‖q‖·‖k‖: both sides of the bound are float32 sums over the same numbers, in another order."""


class Loudest:
    """Exact top activations of one memory for a key that moves step by step.

    Args:
        memory: the rows; must not change while this object lives.
        top: how many activations, or how many pairs of an activation and an edit row, are wanted.

    Attributes:
        full_passes: how often the whole memory was read.
    """

    def __init__(self, memory: MemoryRows, top: int) -> None:
        self.rows, self.counts, self.top = memory.rows, memory.counts, top
        self.full_passes = 0
        size = max(top, SHORTLIST)
        # Any shortlist will do to begin with: the first look at the bound replaces it.
        self._short, self._short_counts = self.rows[:size], self.counts[:size]
        self._listed = torch.arange(len(self._short), device=self.rows.device)
        self._counted = bool((self.counts != 1).any())
        self._nth = self.rows.new_empty(0, dtype=torch.long)  # n − 1 for m = 1, 2, … (see `_quietest`)
        self._read = _Directions(memory) if size < len(self.rows) else None
        self._bounds = self.rows.new_empty(0)  # of every row, at the last look

    def activations(self, key: Tensor, bias: Tensor, z: Tensor | None = None) -> Tensor:
        """Activations h [R] in falling order, differentiable in `key` and `bias`. A row that counts c times stands so.

        R = min(top, Σ counts). Given the edit's activations z [B], only the rows that can be among the `top` largest
        pairs h_i − z_j, a tenth of them (see `_quietest`).
        """
        still, z = key.detach(), None if z is None else z.detach()
        order, quietest = self._wanted(still, z)
        if self._read is not None and self._reached(still, quietest):
            roomy = int((self._bounds >= quietest).sum()) <= len(self._short)
            self._draw_up()
            order, quietest = self._wanted(still, z)
            if not roomy and self._reached(still, quietest) and self._read.along(still):
                self.full_passes += 1
                self._bounds = self._read.bounds(still)
                self._draw_up()
                order, _ = self._wanted(still, z)
        h = torch.addmv(bias, self._short.index_select(0, order), key)
        # Sums over fewer rows may round differently: two rows that are all but equal may change places.
        return h.sort(descending=True).values

    def _wanted(self, key: Tensor, z: Tensor | None) -> tuple[Tensor, Tensor]:
        """Shortlisted rows in falling order, each as often as it counts, and the activation that rows have to reach."""
        h = self._short @ key
        h, order = h.topk(min(self.top, len(h)))
        if self._counted:
            counts = self._short_counts[order]
            h, order = h.repeat_interleave(counts)[: self.top], order.repeat_interleave(counts)[: self.top]
        quietest = h[-1] if z is None or len(h) < self.top else self._quietest(h, z)
        return order[: len(h) - int((h < quietest).sum())], quietest

    def _quietest(self, h: Tensor, z: Tensor) -> Tensor:
        """What a row must reach to be in one of the `top` largest pairs.

        The n loudest rows and the m lowest z make n·m pairs of at least h_(n) − z_(m). Where n·m ≥ `top`, a row whose
        best pair h_i − z_(1) is below that is in none of the largest; the tightest such m decides.
        """
        low = z.sort().values
        if len(self._nth) != len(z):
            self._nth = (self.top - 1) // torch.arange(1, len(z) + 1, device=z.device)
        return (h[self._nth] - (low - low[0])).max()

    def _reached(self, key: Tensor, quietest: Tensor) -> bool:
        """Whether a row that is not on the shortlist may be as loud as that."""
        assert self._read is not None
        self._bounds = self._read.bounds(key)
        return not bool(self._bounds.index_fill(0, self._listed, -torch.inf).max() < quietest)  # a NaN is never below

    def _draw_up(self) -> None:
        self._listed = self._bounds.topk(len(self._short), sorted=False).indices
        self._short, self._short_counts = self.rows.index_select(0, self._listed), self.counts[self._listed]


class _Directions:
    """What has been read of a memory: its rows' components along orthonormal directions, and the length left over."""

    def __init__(self, memory: MemoryRows) -> None:
        self.rows, self.first = memory.rows, memory.leading
        self.squares = memory.lengths.square() * (1 + ROUNDING)
        self.slack = ROUNDING * float(memory.lengths.max())
        directions = len(self.first.basis) + min(DIRECTIONS, self.rows.shape[1])
        self.basis = self.rows.new_empty(directions, self.rows.shape[1])
        self.components = self.rows.new_empty(directions, len(self.rows))
        self._begin()

    def _begin(self) -> None:
        """Know the memory's own directions, and no others."""
        basis, components = self.first
        self.used, known = len(basis), components.shape[1]
        self.basis[: self.used] = basis
        self.components[: self.used, :known] = components
        self.components[: self.used, known:] = basis @ self.rows[known:].T
        self.unread = self.squares - self.components[: self.used].square().sum(0)
        self.left = self.unread.clamp(min=0).sqrt_()

    def bounds(self, key: Tensor) -> Tensor:
        """An upper bound of q_i·k for every row: [M]."""
        basis = self.basis[: self.used]
        c = basis @ key
        r = key - c @ basis
        known = torch.addmv(self.left * r.norm(), self.components[: self.used].T, c)
        return known.add_(self.slack * key.norm())

    def along(self, key: Tensor) -> bool:
        """Read the memory along the part of the key that no direction holds; False where that is rounding only."""
        if self.used == len(self.basis):
            self._begin()
        basis = self.basis[: self.used]
        r = key - (basis @ key) @ basis
        if not bool(r.norm() > 0.1 * ROUNDING * key.norm()):  # a NaN is never above
            return False
        # Twice is enough: what is left of the other directions after one pass is rounding, magnified.
        r = r / r.norm()
        r = r - (basis @ r) @ basis
        self.basis[self.used] = r / r.norm()
        component = torch.mv(self.rows, self.basis[self.used], out=self.components[self.used])
        self.used += 1
        self.left = self.unread.addcmul_(component, component, value=-1).clamp(min=0).sqrt_()
        return True
