"""LiME's mask: what of a gradient an edit of some kind uses, by a number of the kind (Xu et al., 2023).

    z = clip(1.2 σ(a) − 0.1, 0, 1),    m = 1 + e ∘ z,    k ↦ m ∘ k, g ↦ m ∘ g

In the paper the kind is a language; here nobody knows what it is. While the net is trained z is drawn from a hard
concrete distribution, whose gates are 0 with a probability that the loss can lower.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from polypatch.editors.gradients import Gradients

TEMPERATURE, LOW, HIGH = 2 / 3, -0.1, 1.1
SPREAD = 0.01
BOUND = 4.605170185988092
"""ln 100: a stays within it."""


class GroupMask(nn.Module):
    """A row of gates for each group and map; a group that it never saw goes through as it is.

    Args:
        groups: numbers of the groups that it is trained on.
        widths: of ``[k; g]`` by map.
        generator: of the first a.
    """

    def __init__(self, groups: Sequence[int], widths: Mapping[str, int], generator: torch.Generator) -> None:
        super().__init__()
        self.rows = {group: i for i, group in enumerate(groups)}
        count = len(groups)
        drawn = {name: SPREAD * torch.randn(count, width, generator=generator) for name, width in widths.items()}
        self.a = nn.ParameterDict({name: nn.Parameter(rows) for name, rows in drawn.items()})
        self.e = nn.ParameterDict({name: nn.Parameter(torch.ones(count, width)) for name, width in widths.items()})
        self.noise: torch.Generator | None = None
        """What gates are drawn with while they are trained; None: none are."""

    def forward(self, found: Gradients, group: int) -> Gradients:
        """The gradients that the group uses."""
        if group not in self.rows:
            return found
        given, gave = {}, {}
        for name, k in found.given.items():
            mask = self.factor(name, self.rows[group])
            given[name], gave[name] = k * mask[: k.shape[1]], found.gave[name] * mask[k.shape[1] :]
        return Gradients(given, gave, found.queries)

    def factor(self, name: str, row: int) -> Tensor:
        """M [given + out]."""
        a = self.a[name][row].clamp(-BOUND, BOUND)
        if self.noise is not None:
            u = torch.rand(a.shape, generator=self.noise).clamp(1e-6, 1 - 1e-6).to(a)
            a = (u.log() - (1 - u).log() + a) / TEMPERATURE
        z = (a.sigmoid() * (HIGH - LOW) + LOW).clamp(0, 1)
        made: Tensor = 1 + self.e[name][row] * z
        return made

    def open(self) -> Tensor:
        """The mean probability that a gate is not 0: ``σ(a − τ ln(−LOW ÷ HIGH))``, the L0 penalty.

        **Deviates:** in the released code it has no gradient.
        """
        shift = TEMPERATURE * torch.tensor(-LOW / HIGH).log()
        return torch.stack([(a.clamp(-BOUND, BOUND) - shift.to(a)).sigmoid().mean() for a in self.a.values()]).mean()
