"""The second moment of what the map that writes is given over a memory: what a rank-one update is to leave alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from polypatch.deltas.written_from import WrittenFrom
from polypatch.editors.memory import MemoryRows
from polypatch.sites import FeedForwardSite

AT_ONCE = 4096
"""Rows of the memory whose keys are in the machine at a time."""


def keys_of(site: FeedForwardSite, q: Tensor) -> Tensor:
    """What the map that writes is given for queries q [n, D]: k [n, f], in float64."""
    return WrittenFrom(site)(q[:, : site.hidden_size]).double()


@dataclass(frozen=True, eq=False)
class KeyMoments:
    """``C = E[k kᵀ] + ρ·(tr E[k kᵀ] ÷ f)·I``, not centred, of the rows that a memory began with.

    Attributes:
        moment: E[k kᵀ], [f, f], in float64; f² · 8 bytes: 4 MB at f = 704, 0.5 GB at f = 8,192.
        ridge: ρ; a memory of fewer rows than f knows nothing of some directions.

    **Deviates:** the released code takes 100,000 texts of the English Wikipedia, in float32, without a ridge. Here it
    is the memory, in whatever languages that is; its queries are read from the cache, so that it takes seconds. A
    memory without rows stands for no preference: C is the identity.
    """

    moment: Tensor
    ridge: float

    @classmethod
    def of(cls, rows: MemoryRows, site: FeedForwardSite, ridge: float) -> KeyMoments:
        """Of a memory; computed once for it, and kept with it."""
        moment = rows.once("second moment of keys", lambda: _second_moment(rows, site))
        return rows.once(f"second moment of keys, ridge {ridge!r}", lambda: cls(moment, ridge))

    @cached_property
    def whole(self) -> Tensor:
        """C [f, f]."""
        size = len(self.moment)
        one = torch.eye(size, dtype=self.moment.dtype, device=self.moment.device)
        mean = float(self.moment.trace()) / size
        damped: Tensor = self.moment + self.ridge * mean * one
        return damped if mean else one

    @cached_property
    def _factor(self) -> Tensor:
        factor: Tensor = torch.linalg.cholesky(self.whole)
        return factor

    def solved(self, keys: Tensor) -> Tensor:
        """``C⁻¹ k`` of each key [n, f], as rows [n, f]."""
        found: Tensor = torch.cholesky_solve(keys.T, self._factor)
        return found.T

    @cached_property
    def spectrum(self) -> tuple[Tensor, Tensor]:
        """Eigenvalues of E[k kᵀ] in rising order [f], and eigenvectors as columns [f, f]."""
        values, vectors = torch.linalg.eigh(self.moment)
        return values.clamp(min=0), vectors

    def quiet(self, energy: float) -> Tensor:
        """Orthonormal columns [f, r]: the most directions in which, all together, lies so little of the trace."""
        values, vectors = self.spectrum
        total = values.sum()
        count = int((values.cumsum(0) <= energy * total).sum()) if float(total) else len(values)
        return vectors[:, :count]


def _second_moment(rows: MemoryRows, site: FeedForwardSite) -> Tensor:
    width = WrittenFrom(site).size
    total = torch.zeros(width, width, dtype=torch.float64, device=site.device)
    for start in range(0, rows.base, AT_ONCE):
        part = slice(start, min(start + AT_ONCE, rows.base))
        keys = keys_of(site, rows.rows[part])
        total += (keys * rows.counts[part].double().unsqueeze(1)).T @ keys
    return total / max(int(rows.counts[: rows.base].sum()), 1)
