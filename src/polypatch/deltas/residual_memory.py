"""ResidualMemory: a matrix beside the one that writes, of which each edit has the columns that its own input chose."""

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

_NAMES = ("memory", "masks", "overlaps", "centre")


class ResidualMemory(Unmergeable, SharedDelta):
    """``FFN'(q) = FFN(q) + R (Mᵢ ∘ k)  if |M(k) ∩ Mᵢ| ≥ τᵢ m else FFN(q)``, Mᵢ being the stored mask nearest to M(k).

    k is what the writing matrix is given. M(k) marks m of its f places: those where k is farthest above the memory's
    mean, permuted, always in the same way, so that texts that are alike in the loudest places still spread over all
    columns. All edits share R [d, f]: none can be taken back alone.

    Attributes:
        memory: R.
        masks: [n, m], the places of each mask, in rising order.
        centre: [f], the memory's mean k.
        overlaps: [n], τ of each.

    Args:
        site: the feed-forward layer.
        share: m ÷ f, at least one place.

    Raises:
        UnsupportedModelError: the layer is of experts.
    """

    masks: Tensor
    centre: Tensor
    overlaps: Tensor
    kind = "residual"
    mergeable = False
    unmergeable = "a residual memory cannot be merged: no layer of a stock checkpoint chooses columns by its input"
    _said = "edits in one residual memory share its matrix"

    def __init__(self, site: FeedForwardSite, share: float = 0.0) -> None:
        super().__init__(site)
        self.written_from = WrittenFrom(site)
        f = self.written_from.size
        zeros = torch.zeros(site.hidden_size, f, dtype=site.dtype, device=site.device)
        self.memory = nn.Parameter(zeros)
        size = max(1, round(share * f))
        self.register_buffer("masks", torch.empty(0, size, dtype=torch.long, device=site.device))
        self.register_buffer("centre", zeros.new_zeros(f))
        self.register_buffer("overlaps", zeros.new_zeros(0))
        self._order = torch.randperm(f, generator=torch.Generator().manual_seed(0)).to(site.device)

    @property
    def shared(self) -> nn.ParameterList:
        """R."""
        return nn.ParameterList([self.memory])

    def mask_of(self, k: Tensor) -> Tensor:
        """M(k), by its places: [n, f] -> [n, m]."""
        loudest = (k.to(self.centre) - self.centre).topk(self.masks.shape[1], dim=1).indices
        return self._order.to(k.device)[loudest].sort(dim=1).values

    def masked(self, k: Tensor, masks: Tensor) -> Tensor:
        """M ∘ k, M by its places: [n, f], [n, m] -> [n, f]."""
        k = k.to(self.memory.dtype)
        return torch.zeros_like(k).scatter(1, masks, k.gather(1, masks))

    def adds(self, masked: Tensor) -> Tensor:
        """R (M ∘ k): [n, f] -> [n, d]."""
        return masked @ self.memory.T

    def forward(self, q: Tensor, out: Tensor) -> Tensor:
        """`out`, and what is remembered more where the query is near to an edit."""
        if not len(self.masks):
            return out
        k = self.written_from(q)
        shared, nearest = overlap_of(self.mask_of(k), self.masks, k.shape[1]).max(dim=1)
        near = (shared >= self.overlaps[nearest]).unsqueeze(1)
        added = self.adds(self.masked(k, self.masks[nearest]))
        return torch.where(near, out + added.to(out.dtype), out)

    def begin(self, k: Tensor) -> None:
        """Take the centre from what the memory's inputs have in common [n, f]."""
        self.centre = k.to(self.centre).mean(0)

    @torch.no_grad()
    def move(self, step: Tensor) -> None:
        """Add to R."""
        self.memory.add_(step)

    def store(self, masks: Tensor, overlaps: Tensor) -> None:
        """Remember masks [n, m] to look for, each with its τ."""
        self.masks = torch.cat([self.masks, masks])
        self.overlaps = torch.cat([self.overlaps, overlaps.to(self.overlaps)])

    def _as_made(self) -> bool:
        return not len(self.masks)

    def snapshot(self) -> object:
        """Copies of everything."""
        return {name: getattr(self, name).detach().clone() for name in _NAMES}

    def restore(self, snapshot: object) -> None:
        """Put the copies back."""
        assert isinstance(snapshot, dict)
        with torch.no_grad():
            self.memory.copy_(snapshot["memory"])
        for name in _NAMES[1:]:
            setattr(self, name, snapshot[name].to(getattr(self, name), copy=True))

    def tensors(self) -> dict[str, Tensor]:
        """The attributes."""
        return {name: getattr(self, name).detach().cpu().contiguous().clone() for name in _NAMES}

    def load_tensors(self, tensors: Mapping[str, Tensor], owners: Sequence[str]) -> None:
        """Replace everything.

        Raises:
            ArtefactError: a tensor is missing, has another shape or type than the model's, is not finite, or holds
                places that there are not.
        """
        del owners
        f, masks = len(self.centre), tensors.get("masks")
        shape = tuple(masks.shape) if masks is not None and masks.dim() == 2 else (0, 0)
        shapes = {"memory": tuple(self.memory.shape), "masks": shape, "overlaps": shape[:1], "centre": (f,)}
        require_tensors("a residual memory needs", tensors, shapes, whole=("masks",))
        if not 1 <= shape[1] <= f or not bool(((tensors["masks"] >= 0) & (tensors["masks"] < f)).all()):
            raise ArtefactError(f"masks should have from 1 to {f} places, each between 0 and {f - 1}")
        self.restore(dict(tensors))


def overlap_of(some: Tensor, others: Tensor, size: int) -> Tensor:
    """The share of places that masks have in common: [n, m], [p, m], each of f places -> [n, p]."""
    here, there = (torch.zeros(len(m), size, device=m.device).scatter(1, m, 1.0) for m in (some, others))
    return here @ there.T / some.shape[1]
