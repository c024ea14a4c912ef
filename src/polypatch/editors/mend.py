"""MEND: a small net turns the rank-one factors of an edit's gradient into better ones (Mitchell et al., 2022).

W' = W − ρ Σ g̃ k̃ᵀ,    [k̃; g̃] = n([k; g])        for each map, over the positions of the edit's texts
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from polypatch.editors.gradients import Gradients
from polypatch.editors.hyper_editor import HyperEditor, HyperNet, joined
from polypatch.settings import at_least
from polypatch.sites.layers.linear_maps import LinearMap

LAYERS = 2


class Residual(nn.Module):
    """``h + max(0, s ∘ (U V h + b) + t)``, U = 0 at first: the identity.

    Source: the released ``IDMLP``, read as facts.
    **Deviates:** V is drawn with variance 1 ÷ width and not 1, so that one learning rate fits every width.
    """

    def __init__(self, width: int, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        rank = min(rank, width)
        self.u = nn.Parameter(torch.zeros(width, rank))
        self.v = nn.Parameter(torch.randn(rank, width, generator=generator) / width**0.5)
        self.b, self.t = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.zeros(width))
        self.s = nn.Parameter(torch.ones(width))

    def forward(self, h: Tensor) -> Tensor:
        """[n, width] -> [n, width]."""
        # Not relu, whose gradient at 0 is 0: nothing would ever be learned.
        return h + (self.s * (h @ self.v.T @ self.u.T + self.b) + self.t).clamp(min=0)


class Residuals(HyperNet):
    """Of each map a net of residual layers over ``[k; g]``, which are made standard first."""

    def __init__(
        self, maps: Sequence[LinearMap], rate: float, rank: int, generator: torch.Generator, layers: int
    ) -> None:
        super().__init__(maps, rate)
        self.nets = nn.ModuleDict(
            {
                name: nn.Sequential(*(Residual(width, rank, generator) for _ in range(layers)))
                for name, width in self.widths.items()
            }
        )

    def better(self, name: str, k: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        """k̃ [n, given] and g̃ [n, out]."""
        made: Tensor = self.nets[name](self.standard(name, k, g))
        return made[:, : k.shape[1]], made[:, k.shape[1] :]


class MENDNet(Residuals):
    """The net of `MEND`."""

    def terms(self, name: str, found: Sequence[Gradients]) -> tuple[Tensor, Tensor]:
        """``−ρ g̃`` and ``k̃``."""
        k, g = self.better(name, *joined(name, found))
        return -self.rate(name) * g, k


@dataclass(frozen=True, kw_only=True)
class MEND(HyperEditor):
    """One step down a gradient that a net has learned to mend. With an untrained net: down the gradient.

    Attributes:
        rank: of a residual layer, at most the width of ``[k; g]``.

    **Deviates:** one feed-forward layer, where the released code has the last three blocks; each map has its own net,
    where it has one for all matrices of one shape; the mean over an edit's tokens and texts, where it sums. The rank
    was 1920, of nets a hundred times as wide. See `HyperNet` for the sign of a step, and for mean and std.
    Source: EasyEdit's ``MEND``, commit 14cea82, and LiME's, commit cc4c411, read as facts; `docs/deviations.md`.
    """

    rank: Annotated[int, at_least(1)] = 256

    def made(self, maps: Sequence[LinearMap], width: int, generator: torch.Generator) -> HyperNet:
        """Two residual layers for each map."""
        del width
        return MENDNet(maps, self.rate, self.rank, generator, LAYERS)
