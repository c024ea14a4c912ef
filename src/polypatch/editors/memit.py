"""MEMIT, PMET and EMMET: several keys at once, in closed form (Meng et al., 2023; Li et al.; Gupta et al., 2024).

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
from polypatch.editors.shifts import Positions, Shifting, Terms, ToWrite
from polypatch.errors import UnsupportedModelError
from polypatch.settings import above
from polypatch.sites import FeedForwardSite
from polypatch.sites.discovery.anatomy import Finish


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

    def terms(self, wanted: ToWrite, moments: KeyMoments, memory: Memory, site: FeedForwardSite) -> Iterator[Terms]:
        """One for each key."""
        del memory, site
        solved = moments.solved(wanted.keys) / (self.weight * wanted.keys.shape[1])
        yield least_squares(wanted.keys, wanted.shifts, solved)


@dataclass(frozen=True, kw_only=True)
class PMET(MEMIT):
    """As MEMIT, but a second shift, of what attention writes, is optimised beside δ, and is not written.

    What attention could have said is not asked of the feed-forward layer (Li et al., 2024). The second shift moves the
    residual r, and with it the query; it has a weight decay and a clamp of its own.

    **Deviates:** as `MEMIT`. At one layer the square root over which the paper spreads δ is 1. The second clamp is in
    lengths of the feed-forward layer's output, too. There is no KL term, and so nothing that goes on for it once an
    answer is right.
    Source: EasyEdit's ``pmet``, commit 14cea82, read as facts; `docs/deviations.md`.
    """

    parts = 2

    def moved(self, at: Positions, shifts: Tensor) -> Tensor:
        """δ, and what the shift of the residual does, directly and through the layer.

        Raises:
            UnsupportedModelError: a norm is between the layer's output and the residual.
        """
        anatomy, rest = at.site.anatomy, shifts[:, 1]
        if anatomy.finish is Finish.NORM_THEN_ADD:
            raise UnsupportedModelError(
                f"{anatomy.layer}: a norm stands between the layer's output and the residual, so that PMET's shift of "
                "the residual cannot be put into the output; use MEMIT"
            )
        q = at.entry(at.queries, rest)
        return shifts[:, 0] + rest / anatomy.scale + at.out(q) - at.out(at.queries.q[:, : q.shape[1]])


@dataclass(frozen=True, kw_only=True)
class EMMET(Shifting):
    """As MEMIT, but every key gets all of its δ, as in ROME: with one key it is ROME.

    Attributes:
        damping: see `constrained`.

    **Deviates:** as `MEMIT`; damping is relative.
    Source: EasyEdit's ``emmet``, commit 14cea82, read as facts; `docs/deviations.md`.
    """

    damping: Annotated[float, above(0)] = 1e-6

    def terms(self, wanted: ToWrite, moments: KeyMoments, memory: Memory, site: FeedForwardSite) -> Iterator[Terms]:
        """One for each key."""
        del memory, site
        yield constrained(wanted.keys, wanted.shifts, moments.solved(wanted.keys), self.damping)
