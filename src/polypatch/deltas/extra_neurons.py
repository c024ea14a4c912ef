"""ExtraNeurons: a few neurons beside the feed-forward layer that all edits train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from polypatch.deltas.checked import require_tensors
from polypatch.deltas.shared import SharedDelta
from polypatch.errors import ArtefactError
from polypatch.sites.merge import MergeCost, merge_cost, takes_neurons, widened
from polypatch.sites.site import FeedForwardSite


class ExtraNeurons(SharedDelta):
    """``FFN'(q) = FFN(q) + W₂ᵉ act(W₁ᵉ q)``.

    W₁ᵉ [m, d] and W₂ᵉ, kept as [m, d] too; while it is 0, the output is the unedited one, bit for bit. Until the first
    edit draws it, W₁ᵉ is 0 as well. All edits share both: none can be taken back alone.

    Args:
        site: the feed-forward layer.
        size: m.
    """

    kind = "extra"
    _said = "edits in shared neurons train the same ones"

    def __init__(self, site: FeedForwardSite, size: int = 1) -> None:
        super().__init__(site)
        self.activation = ACT2FN[site.activation_name]
        zeros = torch.zeros(size, site.hidden_size, dtype=site.dtype, device=site.device)
        self.both = nn.ParameterList([nn.Parameter(zeros), nn.Parameter(zeros.clone())])

    @property
    def mergeable(self) -> bool:  # type: ignore[override]
        """Whether a stock model has a place for neurons."""
        return takes_neurons(self._site[0])

    @property
    def shared(self) -> nn.ParameterList:
        """W₁ᵉ and W₂ᵉ."""
        return self.both

    def draw(self, generator: torch.Generator) -> None:
        """Draw W₁ᵉ uniformly from ±1 ÷ √d, unless something was learned already."""
        keys = self.both[0]
        if self._untouched():
            with torch.no_grad():
                keys.copy_((2 * torch.rand(keys.shape, generator=generator) - 1) / keys.shape[1] ** 0.5)

    def forward(self, q: Tensor, out: Tensor) -> Tensor:
        """`out` plus what the neurons that fire add to it."""
        if self._untouched() and not torch.is_grad_enabled():
            return out
        keys, values = self.both
        fired: Tensor = self.activation(q.to(keys.dtype) @ keys.T)
        added: Tensor = (fired @ values).to(out.dtype)
        return out + added

    def _as_made(self) -> bool:
        return not bool(self.both[1].detach().any())

    def merged(self, site: FeedForwardSite) -> nn.Module:
        """The neurons as part of a wider feed-forward layer (`polypatch.sites.merge`)."""
        keys, values = (part.detach() for part in self.both)
        return widened(site, keys, keys.new_zeros(len(keys)), values)

    def merge_cost(self, site: FeedForwardSite) -> MergeCost:
        """A neuron in every layer for each of these."""
        return merge_cost(site, len(self.both[0]))

    def tensors(self) -> dict[str, Tensor]:
        """``keys`` and ``values``."""
        return {n: p.detach().cpu().contiguous().clone() for n, p in zip(("keys", "values"), self.both, strict=True)}

    def load_tensors(self, tensors: Mapping[str, Tensor], owners: Sequence[str]) -> None:
        """Replace the neurons; there are as many as these.

        Raises:
            ArtefactError: one is missing, has another shape or type than the other and the model imply, or is not
                finite.
        """
        del owners
        keys = tensors.get("keys")
        size = len(keys) if keys is not None and keys.dim() else 0
        require_tensors(
            "shared neurons need", tensors, dict.fromkeys(("keys", "values"), (size, self._site[0].hidden_size))
        )
        if not size:
            raise ArtefactError("keys holds no neuron")
        if size != len(self.both[0]):
            self.both = ExtraNeurons(self._site[0], size).both
        self.restore([tensors["keys"], tensors["values"]])
