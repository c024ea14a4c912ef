"""MALMEN: a net's value of each token, put into the matrix by least squares (Tan, Zhang and Fu, 2024).

    v = −ρ (k·k̃) g̃,    ΔW = Vᵀ K (Kᵀ K + e^λ I)⁻¹ = Vᵀ (K Kᵀ + e^λ I)⁻¹ K

K [n, given] are the keys as rows, V [n, out] the values; the second form is n × n. The terms are its columns and rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from polypatch.editors.gradients import Gradients
from polypatch.editors.hyper_editor import HyperEditor, HyperNet, joined
from polypatch.editors.least_changes import least_changes
from polypatch.editors.mend import Residuals
from polypatch.settings import at_least
from polypatch.sites.layers.linear_maps import LinearMap

LAYERS = 4


def values_of(keys: Tensor, better: Tensor, gradients: Tensor, rate: Tensor) -> Tensor:
    """``−ρ (k·k̃) g̃`` of each row: keys k and better k̃ [n, given], gradients g̃ [n, out]."""
    return -rate * (keys * better).sum(1, keepdim=True) * gradients


class MALMENNet(Residuals):
    """The net of `MALMEN`: residual layers, and a damping of each map."""

    def __init__(self, maps: Sequence[LinearMap], editor: MALMEN, generator: torch.Generator) -> None:
        super().__init__(maps, editor.rate, editor.rank, generator, LAYERS)
        self.log_dampings = nn.ParameterDict({name: nn.Parameter(torch.zeros(())) for name in self.maps})

    def terms(self, name: str, found: Sequence[Gradients]) -> tuple[Tensor, Tensor]:
        """Those of all tokens of all texts together."""
        keys, gave = joined(name, found)
        better, gradients = self.better(name, keys, gave)
        values = values_of(keys, better, gradients, self.rate(name))
        return least_changes(keys, values, self.log_dampings[name].exp())


@dataclass(frozen=True, kw_only=True)
class MALMEN(HyperEditor):
    """Values for all of an edit's tokens at once, so that they do not get into each other's way.

    Attributes:
        rank: of a residual layer, at most the width of ``[k; g]``.

    **Deviates:** made for thousands of edits in one batch, here it gets the texts of one edit, as every editor does;
    one feed-forward layer; the net is trained by the gradient of all of it, where the released code, which cannot hold
    that, works it out by parts. The rank was 1024 and ρ 10⁻⁶ before training. See `HyperNet` for mean and std.
    Source: the ``malmen`` of UltraEdit's repository, commit 0beb222, read as facts; `docs/deviations.md`.
    """

    rank: Annotated[int, at_least(1)] = 256

    def made(self, maps: Sequence[LinearMap], width: int, generator: torch.Generator) -> HyperNet:
        """Four residual layers for each map."""
        del width
        return MALMENNet(maps, self, generator)
