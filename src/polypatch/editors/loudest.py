"""Loudest: the memory rows that enter the memory loss, exactly, without reading the whole memory at every step.

The loss wants the largest of h_i = q_i·k + b, M of them, at every step. Reading all rows is 123 MB at M = 40,000 and
d = 768, most of an edit's time; yet a hundred rows settle the loss, and a key in training moves in few
directions. So the memory is read once per direction: e_1, e_2, … are orthonormal, a_ij = q_i·e_j is remembered, and

    k = Σ_j c_j e_j + r        q_i·k = Σ_j c_j a_ij + q_i·r  ≤  Σ_j c_j a_ij + ρ_i ‖r‖        ρ_i² = ‖q_i‖² − Σ_j a_ij²

bounds every row, by Cauchy-Schwarz in the directions not read yet. The rows on a shortlist are evaluated at every step.
As long as the bound of no other row reaches the quietest activation that is wanted, the answer is exact; otherwise the
memory is read along r, which closes the gap in the bound, and the shortlist is drawn up anew.
"""

from __future__ import annotations

import torch
from torch import Tensor

from polypatch.editors.memory import MemoryRows

SHORTLIST = 1024
"""Rows on the shortlist, or `top`, or a sixteenth of the memory if more. A memory no larger is read whole."""

DIRECTIONS = 64
"""Directions remembered before all are forgotten; an edit of a few hundred steps needs about twenty."""

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
        size = max(top, SHORTLIST, len(self.rows) // 16)
        # Any shortlist will do to begin with: the first look at the bound replaces it.
        self._short, self._short_counts = self.rows[:size], self.counts[:size]
        self._listed = torch.arange(len(self._short), device=self.rows.device)
        self._counted = bool((self.counts != 1).any())
        self._nth = self.rows.new_empty(0, dtype=torch.long)  # n − 1 for m = 1, 2, … (see `_quietest`)
        self._read = _Directions(self.rows, memory.lengths) if size < len(self.rows) else None

    def activations(self, key: Tensor, bias: Tensor, z: Tensor | None = None) -> Tensor:
        """Activations h [R] in falling order, differentiable in `key` and `bias`. A row that counts c times stands so.

        R = min(top, Σ counts). Given the edit's activations z [B], only the rows that can be among the `top` largest
        pairs h_i − z_j, a tenth of them (see `_quietest`).
        """
        still, z = key.detach(), None if z is None else z.detach()
        order, quietest = self._wanted(still, z)
        if self._read is not None:
            bounds = self._read.bounds(still).index_fill_(0, self._listed, -torch.inf)
            if not bool(bounds.max() < quietest):  # a NaN is never below
                self._draw_up(still)
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

    def _draw_up(self, key: Tensor) -> None:
        assert self._read is not None
        self.full_passes += self._read.along(key)
        self._listed = self._read.bounds(key).topk(len(self._short), sorted=False).indices
        self._short, self._short_counts = self.rows.index_select(0, self._listed), self.counts[self._listed]


class _Directions:
    """What has been read of a memory: its rows' components along orthonormal directions, and the length left over."""

    def __init__(self, rows: Tensor, lengths: Tensor) -> None:
        self.rows = rows
        self.squares = lengths.square() * (1 + ROUNDING)
        self.unread = self.squares.clone()
        self.slack = ROUNDING * float(lengths.max())
        directions = min(DIRECTIONS, rows.shape[1])
        self.basis = rows.new_empty(directions, rows.shape[1])
        self.components = rows.new_empty(directions, len(rows))
        self.used, self.left = 0, self.squares.sqrt()

    def bounds(self, key: Tensor) -> Tensor:
        """An upper bound of q_i·k for every row: [M]."""
        basis = self.basis[: self.used]
        c = basis @ key
        r = key - c @ basis
        known = torch.addmv(self.left * r.norm(), self.components[: self.used].T, c)
        return known.add_(self.slack * key.norm())

    def along(self, key: Tensor) -> bool:
        """Read the memory along the part of the key that no direction holds; False where that is rounding only."""
        basis = self.basis[: self.used]
        r = key - (basis @ key) @ basis
        if not bool(r.norm() > 0.1 * ROUNDING * key.norm()):  # a NaN is never above
            return False
        if self.used == len(self.basis):
            self.used, basis, r = 0, self.basis[:0], key
            self.unread.copy_(self.squares)
        # Twice is enough: what is left of the other directions after one pass is rounding, magnified.
        r = r / r.norm()
        r = r - (basis @ r) @ basis
        self.basis[self.used] = r / r.norm()
        component = torch.mv(self.rows, self.basis[self.used], out=self.components[self.used])
        self.used += 1
        self.left = self.unread.addcmul_(component, component, value=-1).clamp(min=0).sqrt_()
        return True
