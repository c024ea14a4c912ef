"""SideMemory: a second copy of the matrix that writes, asked where it would say something else by far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from polypatch.deltas.checked import require_tensors
from polypatch.deltas.pieces import Unmergeable
from polypatch.deltas.shared import SharedDelta
from polypatch.deltas.written_from import WrittenFrom
from polypatch.errors import ArtefactError
from polypatch.sites.site import FeedForwardSite


class SideMemory(Unmergeable, SharedDelta):
    """``FFN'(q) = FFN(q) + Δk  if ‖Δk‖ > t else FFN(q)``, k being what the writing matrix W₂ is given.

    W₂ + Δ is the side copy, and ‖Δk‖ how far its output is from the main one's. All edits share Δ [d, f] and t: none
    can be taken back alone.

    Args:
        site: the feed-forward layer.

    Raises:
        UnsupportedModelError: the layer is of experts.
    """

    kind = "side"
    mergeable = False
    unmergeable = "a side memory cannot be merged: no layer of a stock checkpoint chooses between two matrices"
    _said = "edits in one side memory share its matrix"

    def __init__(self, site: FeedForwardSite) -> None:
        super().__init__(site)
        self.written_from = WrittenFrom(site)
        delta = torch.zeros(site.hidden_size, self.written_from.size, dtype=site.dtype, device=site.device)
        self.delta = nn.Parameter(delta)
        self.threshold = nn.Parameter(delta.new_zeros(()), requires_grad=False)

    @property
    def shared(self) -> nn.ParameterList:
        """Δ and t."""
        return nn.ParameterList([self.delta, self.threshold])

    def adds(self, k: Tensor) -> Tensor:
        """Δk: [n, f] -> [n, d]."""
        return k.to(self.delta.dtype) @ self.delta.T

    def added(self, q: Tensor) -> Tensor:
        """Δk of queries: [n, d] -> [n, d]."""
        return self.adds(self.written_from(q))

    @torch.no_grad()
    def move(self, step: Tensor) -> None:
        """Add to Δ."""
        self.delta.add_(step)

    @torch.no_grad()
    def reach(self, threshold: float) -> None:
        """Lower t to this, where something was learned before; set it, where nothing was."""
        before = float(self.threshold)
        self.threshold.fill_(min(before, threshold) if before else threshold)

    def forward(self, q: Tensor, out: Tensor) -> Tensor:
        """`out`, or the side copy's where that is far from it."""
        if self._untouched():
            return out
        added = self.added(q)
        far = (added.norm(dim=-1) > self.threshold).unsqueeze(-1)
        return torch.where(far, out + added.to(out.dtype), out)

    def _as_made(self) -> bool:
        return not bool(self.delta.detach().any())

    def tensors(self) -> dict[str, Tensor]:
        """``delta`` and ``threshold``."""
        both = {"delta": self.delta, "threshold": self.threshold}
        return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in both.items()}

    def load_tensors(self, tensors: Mapping[str, Tensor], owners: Sequence[str]) -> None:
        """Replace both.

        Raises:
            ArtefactError: one is missing, has another shape or type than the model's, or is not finite; or the
                threshold is below 0.
        """
        del owners
        require_tensors("a side memory needs", tensors, {"delta": tuple(self.delta.shape), "threshold": ()})
        if float(tensors["threshold"]) < 0:
            raise ArtefactError("threshold is below 0: the unedited model would be asked nowhere")
        self.restore([tensors["delta"], tensors["threshold"]])
