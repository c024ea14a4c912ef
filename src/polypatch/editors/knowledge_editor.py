"""KnowledgeEditor: a gradient seen through two masks that a net computes from the edit (De Cao et al., 2021).

    ΔW = −ρ out σ(s) ( (Σ g kᵀ) ∘ softmax(a) bᵀ + softmax(a′) b′ᵀ )        [a; b; a′; b′; s] = net(q)

for each map W [out, given] and each text of an edit, q being the text's query. Its terms are
``(g ∘ softmax(a))(k ∘ b)ᵀ`` and one more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn

from polypatch.editors.gradients import Gradients
from polypatch.editors.hyper_editor import HyperEditor, HyperNet
from polypatch.settings import at_least
from polypatch.sites.layers.linear_maps import LinearMap


class Masks(NamedTuple):
    """What the net says of one map and text.

    Attributes:
        a, b: of the gradient, [out] and [given].
        a_more, b_more: of what is added to it.
        gate: s.
    """

    a: Tensor
    b: Tensor
    a_more: Tensor
    b_more: Tensor
    gate: Tensor


def masked_terms(k: Tensor, g: Tensor, masks: Masks, rate: Tensor) -> tuple[Tensor, Tensor]:
    """ΔW of one map and text as n + 1 terms: k [n, given], g [n, out] -> l [n + 1, out], r [n + 1, given]."""
    size = -rate * len(masks.a) * masks.gate.sigmoid()
    left = torch.cat([g * masks.a.softmax(0), masks.a_more.softmax(0).unsqueeze(0)])
    return size * left, torch.cat([k * masks.b, masks.b_more.unsqueeze(0)])


class KENet(HyperNet):
    """The net of `KnowledgeEditor`. Before training b = 1 and all else is 0: a step of the gradient, of ρ ÷ 2."""

    def __init__(
        self, maps: Sequence[LinearMap], editor: KnowledgeEditor, width: int, generator: torch.Generator
    ) -> None:
        super().__init__(maps, editor.rate)
        self.condition = Affine(width, width, generator)
        self.inner = nn.ModuleDict({name: Affine(width, editor.inner, generator) for name in self.maps})
        self.outer = nn.ModuleDict({name: Affine(editor.inner, 2 * size + 1) for name, size in self.widths.items()})
        with torch.no_grad():
            for name, one in self.maps.items():
                self.outer[name].bias[one.out : one.out + one.given] = 1  # type: ignore[operator]

    def masks(self, name: str, queries: Tensor) -> Masks:
        """For the text that these queries [n, D] are of."""
        about = self.condition(queries[:, : len(self.condition.bias)].mean(0)).tanh()
        said, one = self.outer[name](self.inner[name](about).tanh()), self.maps[name]
        a, b, a_more, b_more, gate = said.split([one.out, one.given, one.out, one.given, 1])
        return Masks(a, b, a_more, b_more, gate)

    def terms(self, name: str, found: Sequence[Gradients]) -> tuple[Tensor, Tensor]:
        """Those of each text, by its own masks; what is added is a share of it, as the gradient is."""
        parts = [self._of_text(name, one, 1 / len(found)) for one in found]
        return torch.cat([left for left, _ in parts]), torch.cat([right for _, right in parts])

    def _of_text(self, name: str, found: Gradients, share: float) -> tuple[Tensor, Tensor]:
        k = found.given[name]
        unit = self.std.get_buffer(name)[k.shape[1] :].square().mean().sqrt()
        masks = self.masks(name, found.queries)
        return masked_terms(k, found.gave[name] / unit, masks._replace(b_more=masks.b_more * share), self.rate(name))


class Affine(nn.Module):
    """``W x + b``, b = 0 at first; drawn with variance 1 ÷ width, or all 0 without a generator."""

    def __init__(self, given: int, out: int, generator: torch.Generator | None = None) -> None:
        super().__init__()  # not torch's own, which draws from the process's random numbers
        weight = torch.zeros(out, given)
        if generator is not None:
            weight = torch.randn(out, given, generator=generator) / given**0.5
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(torch.zeros(out))

    def forward(self, x: Tensor) -> Tensor:
        """[given] -> [out]."""
        return self.weight @ x + self.bias


@dataclass(frozen=True, kw_only=True)
class KnowledgeEditor(HyperEditor):
    """One step of a gradient that is masked row by row and column by column.

    Attributes:
        inner: width of the net that computes masks.

    **Deviates:** what the masks are computed from is the text's own query, where the released code runs a second
    network, a BiLSTM, over its words; no weight normalisation; ρ, learned, in place of a fixed greatest step of 1, in
    units of the gradients that the net is trained on; trained as MEND is and not under a constraint.
    Source: LiME's ``efk``, commit cc4c411, read as facts; `docs/deviations.md`.
    """

    inner: Annotated[int, at_least(1)] = 512

    def made(self, maps: Sequence[LinearMap], width: int, generator: torch.Generator) -> HyperNet:
        """A net for each map, and what they all see."""
        return KENet(maps, self, width, generator)
