"""AlphaEdit: an update that lies in the null space of what is to stay (Fang et al., 2025).

    ΔW = R Aᵀ (A Aᵀ + B Bᵀ + ℓ I)⁻¹ U₀ᵀ,    A = U₀ᵀ K,   B = U₀ᵀ K_before

U₀ [f, r] are the quiet directions of C, K [f, n] the keys, R [d, n] the shifts, K_before the keys of the edits before.
It is ``ΔW = R Kᵀ P (K Kᵀ P + K_before K_beforeᵀ P + ℓ I)⁻¹`` with ``P = U₀ U₀ᵀ``, in r dimensions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from polypatch.editors.editor import Copies
from polypatch.editors.key_moments import KeyMoments, keys_of
from polypatch.editors.memory import Memory
from polypatch.editors.shifts import Shifting, Terms, ToWrite
from polypatch.settings import above
from polypatch.sites import FeedForwardSite


def projected(keys: Tensor, shifts: Tensor, before: Tensor, quiet: Tensor, damping: float) -> tuple[Tensor, Tensor]:
    """ΔW as n terms.

    Args:
        keys: K as rows [n, f].
        shifts: R as rows [n, d].
        before: K_before as rows [m, f].
        quiet: U₀ [f, r].
        damping: ℓ.

    Returns:
        l [n, d] and r [n, f].
    """
    a, b = keys @ quiet, before @ quiet
    inner = a.T @ a + b.T @ b + damping * torch.eye(quiet.shape[1], dtype=keys.dtype, device=keys.device)
    return shifts, torch.linalg.solve(inner, a.T).T @ quiet.T


@dataclass(frozen=True, kw_only=True)
class AlphaEdit(Shifting):
    """Keys and shifts of all an edit's texts, in the directions that the memory hardly uses, beside earlier edits.

    Attributes:
        energy: the share of E‖k₀‖² that may lie in those directions, all together.
        damping: ℓ, in units of the mean of E‖k₀‖².
        memory_copies: 1: the keys of earlier edits are read from the memory that they joined; 0: as if there were none.

    **Deviates:** the released threshold is an absolute 0.02 on the singular values of C, and depends on the scale of a
    model's activations; so does ℓ (1 and 10). One layer; see `MEMIT`, and `polypatch.editors.shifts` for the
    position. K_before has all rows of earlier edits' answers, and below the last layer that is more than their keys.
    Source: EasyEdit's ``alphaedit``, commit 14cea82, read as facts; `docs/deviations.md`.
    """

    energy: Annotated[float, above(0, below=1)] = 0.02
    damping: Annotated[float, above(0)] = 3e-3
    memory_copies: Copies = 1

    def terms(self, wanted: ToWrite, moments: KeyMoments, memory: Memory, site: FeedForwardSite) -> Iterator[Terms]:
        """One for each key."""
        rows = memory.train
        quiet = rows.once(f"quiet directions, {self.energy!r}", lambda: moments.quiet(self.energy))
        before = keys_of(site, rows.rows[rows.base :])
        unit = float(moments.moment.trace()) or 1.0
        yield projected(wanted.keys, wanted.shifts, before, quiet, self.damping * unit)
