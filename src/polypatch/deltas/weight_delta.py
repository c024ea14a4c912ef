"""WeightDelta: changed weight matrices of the last layer; what fine-tuning leaves behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from polypatch.deltas.checked import require_tensors
from polypatch.deltas.shared import SharedDelta
from polypatch.sites.merge import replaced
from polypatch.sites.site import FeedForwardSite


class WeightDelta(SharedDelta):
    """Trainable copies of weight matrices of the last layer.

    With ``scope="ffn"`` (two matrices) it is a function of the query, ``FFN'(q) = W₂' act(W₁' q + b₁) + b₂``, applied
    at the one position that is read. With ``scope="layer"`` (the FFN's two and the attention's four) it replaces
    parameters by name, so only full forward passes can see it. Biases are never trained. All edits share the matrices:
    none can be taken back alone.
    """

    kind = "weights"

    def __init__(self, site: FeedForwardSite, scope: str = "ffn") -> None:
        super().__init__(site)
        self.scope = scope
        self.names = list(site.matrices(scope))
        self.weights = nn.ParameterList(nn.Parameter(w.detach().clone()) for w in site.matrices(scope).values())

    @property
    def shared(self) -> nn.ParameterList:
        """The matrices."""
        return self.weights

    @property
    def overrides(self) -> Mapping[str, Tensor]:
        """The matrices by parameter name, where the change reaches outside the FFN."""
        return dict(zip(self.names, self.weights, strict=True)) if self.scope == "layer" else {}

    def forward(self, q: Tensor, out: Tensor) -> Tensor:
        """FFN'(q) for ``scope="ffn"``; `out`, already computed with the replaced matrices, for ``"layer"``."""
        return out if self.scope == "layer" else super().forward(q, out)

    def changed(self, q: Tensor) -> Tensor:
        """FFN'(q)."""
        # The matrices stay as they were made, also where the model was put into half precision since.
        weights = dict(zip(self.names, self.weights, strict=True))
        return self._site[0].layer.ffn_with(q.to(self.weights[0].dtype), weights)

    def _as_made(self) -> bool:
        own = self._site[0].matrices(self.scope).values()
        return all(torch.equal(weight, base) for weight, base in zip(self.weights, own, strict=True))

    def merged(self, site: FeedForwardSite) -> nn.Module:
        """The model with these matrices in place of its own."""
        self._require_mergeable(site)
        return replaced(site, self.tensors())

    def tensors(self) -> dict[str, Tensor]:
        """The changed matrices by parameter name."""
        return {name: w.detach().cpu().contiguous().clone() for name, w in zip(self.names, self.weights, strict=True)}

    def load_tensors(self, tensors: Mapping[str, Tensor], owners: Sequence[str]) -> None:
        """Replace the matrices.

        Raises:
            ArtefactError: a matrix is missing, has another shape or type than the model's, or is not finite.
        """
        del owners
        shapes = {name: tuple(weight.shape) for name, weight in zip(self.names, self.weights, strict=True)}
        require_tensors("changed weights need", tensors, shapes)
        self.restore([tensors[name] for name in self.names])
