"""MEMIT and EMMET: several keys at once, in closed form (Meng et al., 2023; Gupta et al., 2024).

    MEMIT  least λ·E‖ΔW k₀‖² + Σᵢ ‖ΔW kᵢ − δᵢ‖²:      ΔW = R Kᵀ (λC + K Kᵀ)⁻¹ = R (I + Kᵀ S)⁻¹ Sᵀ,   S = (λC)⁻¹ K
    EMMET  the same where ΔW kᵢ = δᵢ has to hold:      ΔW = R (Kᵀ C⁻¹ K)⁻¹ Kᵀ C⁻¹

The columns of K [f, n] are the keys, those of R [d, n] the shifts δ. The second form of MEMIT's costs f² n.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from polypatch.editors.key_moments import KeyMoments
from polypatch.editors.memory import Memory
from polypatch.editors.shifts import Shifting, Terms, Wanted
from polypatch.settings import above
from polypatch.sites import FeedForwardSite


def least_squares(keys: Tensor, shifts: Tensor, solved: Tensor) -> tuple[Tensor, Tensor]:
    """MEMIT's ΔW as n terms.

    Args:
        keys: K as rows [n, f].
        shifts: R as rows [n, d].
        solved: S as rows [n, f].

    Returns:
        l [n, d] and r [n, f].
    """
    inner = torch.eye(len(keys), dtype=keys.dtype, device=keys.device) + keys @ solved.T
    return torch.linalg.solve(inner.T, shifts), solved


def constrained(keys: Tensor, shifts: Tensor, solved: Tensor, damping: float) -> tuple[Tensor, Tensor]:
    """EMMET's ΔW as n terms; arguments as for `least_squares`, S being C⁻¹ K.

    `damping`, relative to the mean of the diagonal of Kᵀ C⁻¹ K, is for keys that are all but the same.
    """
    inner = keys @ solved.T
    one = torch.eye(len(keys), dtype=keys.dtype, device=keys.device)
    return torch.linalg.solve((inner + damping * inner.diagonal().mean() * one).T, shifts), solved


@dataclass(frozen=True, kw_only=True)
class MEMIT(Shifting):
    """Keys and shifts of all an edit's texts, in one weighed least-squares step.

    Attributes:
        weight: λ ÷ f: how much what is not edited counts. The mean of kᵀC⁻¹k is f, whatever the model, so a key of
            such a length gets 1 ÷ (1 + weight) of its δ.

    **Deviates:** one layer, where the paper spreads δ over several and takes what is left at each; λ in units of f (the
    released 15,000 is 1.4 f of Llama-2-7B). See `polypatch.editors.shifts` for the position.
    Source: EasyEdit's ``memit``, commit 14cea82, read as facts; `docs/deviations.md`.
    """

    weight: Annotated[float, above(0)] = 0.1

    def terms(self, wanted: Wanted, moments: KeyMoments, memory: Memory, site: FeedForwardSite) -> Iterator[Terms]:
        """One for each key."""
        del memory, site
        solved = moments.solved(wanted.keys) / (self.weight * wanted.keys.shape[1])
        yield least_squares(wanted.keys, wanted.shifts, solved)


@dataclass(frozen=True, kw_only=True)
class EMMET(Shifting):
    """As MEMIT, but every key gets all of its δ, as in ROME: with one key it is ROME.

    Attributes:
        damping: see `constrained`.

    **Deviates:** as `MEMIT`; damping is relative.
    Source: EasyEdit's ``emmet``, commit 14cea82, read as facts; `docs/deviations.md`.
    """

    damping: Annotated[float, above(0)] = 1e-6

    def terms(self, wanted: Wanted, moments: KeyMoments, memory: Memory, site: FeedForwardSite) -> Iterator[Terms]:
        """One for each key."""
        del memory, site
        yield constrained(wanted.keys, wanted.shifts, moments.solved(wanted.keys), self.damping)
