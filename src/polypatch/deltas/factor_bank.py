"""FactorBank: rank-one terms that are added to the matrices of the feed-forward layer, each of which is one edit's."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from polypatch.deltas.checked import require_tensors
from polypatch.deltas.patch_bank import chosen
from polypatch.deltas.pieces import InPieces
from polypatch.deltas.published import publish, seen_together
from polypatch.deltas.reserves import Reserves
from polypatch.errors import InputError
from polypatch.sites.layers.linear_maps import LinearMap, last_map, linear_maps
from polypatch.sites.merge import MergeCost, merge_cost, replaced, require_mergeable
from polypatch.sites.site import FeedForwardSite

WRITER, WHOLE = "writer", "ffn"
"""Which maps have terms: the one that writes the layer's output, or all."""

LEFT, RIGHT = "_left", "_right"


class FactorBank(InPieces):
    """``W' = W + Σᵢ lᵢ rᵢᵀ`` for each map W of the layer, and ``FFN'`` is the layer with these.

    A term belongs to one edit, and is cut out with it. The sum is taken anew whenever terms come or go, in their order,
    so that what was taken back leaves no rounding behind.

    Attributes:
        owners: the edit id behind each term, in the order they were made. A term has an l and an r in every map.

    Args:
        site: the layer; None for a bank that is only read and written, whose maps are what its tensors say.
        scope: ``"writer"``: the map that writes the layer's output alone; ``"ffn"``: all maps.
        dtype: what the factors are kept as, where there is no site: the model's own type.
    """

    overrides: Mapping[str, Tensor] = {}
    kind = "factors"
    separable = True
    replaces = False
    mergeable = True
    parts: ClassVar[Mapping[str, str]] = {LEFT: "out", RIGHT: "given"}
    """What is kept of each term in every map, by the ending of its name, and which length of the map it has."""

    def __init__(
        self, site: FeedForwardSite | None, scope: str = WRITER, *, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        self._site = (site,)  # in a tuple: a module attribute would register the whole model as a submodule
        self.scope, self.dtype = scope, dtype if site is None else site.dtype
        self.maps: dict[str, LinearMap] = {}
        self._reserves, self._summed = Reserves(), _Summed(None, {})
        if site is not None:
            one = last_map(site.layer) if scope == WRITER else None
            self.maps = linear_maps(site.layer) if one is None else {one.name: one}
            for name, shape in self._shapes(0).items():
                self.register_buffer(name, torch.empty(shape, device=site.device, dtype=self.dtype))

    def forward(self, q: Tensor, out: Tensor) -> Tensor:
        """FFN'(q); `out` itself where there are no terms."""
        if not self.owners:
            return out
        return self.model_site.layer.ffn_with(q.to(self.dtype), self.weights()).to(out.dtype)

    @property
    def model_site(self) -> FeedForwardSite:
        """The layer."""
        (site,) = self._site
        if site is None:
            raise InputError("these factors are of a folder, without their model")
        return site

    def weights(self) -> dict[str, Tensor]:
        """W' by full parameter name, as the model keeps it."""
        now, known = seen_together(self), self._summed
        first = next(iter(now.values()))  # another one whenever terms come or go, and where the bank was moved
        if known.of is not first:
            own = self.model_site.matrices("ffn")
            sums = {}
            for name, one in self.maps.items():
                more = one.as_kept(self.added(now[name + LEFT], now[name + RIGHT]))
                sums[one.weight] = own[one.weight].detach().to(more) + more
            self._summed = known = _Summed(first, sums)
        return known.weights

    def added(self, left: Tensor, right: Tensor) -> Tensor:
        """ΔW [out, given] of all terms, l [n, out] and r [n, given]."""
        return left.T @ right

    def extend(self, owner: str, terms: Mapping[str, tuple[Tensor, ...]]) -> None:
        """Add m terms of an edit: by map what `parts` says, l [m, out] and r [m, given]."""
        fresh = {name + part: rows for name, own in terms.items() for part, rows in zip(self.parts, own, strict=True)}
        self._grow(owner, {name: rows.detach().to(self.get_buffer(name)) for name, rows in fresh.items()})

    def _grow(self, owner: str, fresh: Mapping[str, Tensor]) -> None:
        grown = {name: self._reserves.longer(name, self.get_buffer(name), rows) for name, rows in fresh.items()}
        publish(self, grown, [*self.owners, *[owner] * len(next(iter(fresh.values())))])

    def drop(self, edit_ids: Collection[str]) -> None:
        """Take out the terms of these edits; the others keep their order and their bits."""
        gone = set(edit_ids)
        self.load_tensors(*chosen(self.tensors(), self.owners, lambda _, owner: owner not in gone))

    def merged(self, site: FeedForwardSite) -> nn.Module:
        """The model with W' in place of its matrices."""
        require_mergeable(site)
        return replaced(site, self.weights() if self.owners else {})

    def merge_cost(self, site: FeedForwardSite) -> MergeCost:
        """Nothing is added."""
        require_mergeable(site)
        return merge_cost(site, 0)

    def since(self, patches: int) -> dict[str, Tensor]:
        """The terms added since."""
        return {name: tensor[patches:].clone() for name, tensor in self.tensors().items()}

    def adopt(self, owner: str, tensors: Mapping[str, Tensor]) -> None:
        """Append the terms of one edit; ArtefactError as `load_tensors`."""
        count = max((len(tensor) for tensor in tensors.values() if tensor.dim()), default=0)
        if not self.owners:
            self.load_tensors(tensors, [owner] * count)
            return
        require_tensors("factors need", tensors, {n: (count, b.shape[1]) for n, b in self.named_buffers()})
        self._grow(owner, {name: rows.to(self.get_buffer(name)) for name, rows in tensors.items()})

    def tensors(self) -> dict[str, Tensor]:
        """``…_left`` [n, out] and ``…_right`` [n, given] of each map, by its name."""
        return {name: buffer.detach().cpu().contiguous() for name, buffer in self.named_buffers()}

    def load_tensors(self, tensors: Mapping[str, Tensor], owners: Sequence[str]) -> None:
        """Replace the terms.

        Raises:
            ArtefactError: a tensor is missing, has another shape than n owners and the maps imply, or is not finite.
        """
        shapes = self._shapes(len(owners)) if self.maps else self._as_found(tensors, len(owners))
        if not tensors and not owners:  # of a folder that nobody knew the maps of
            tensors = {name: torch.empty(shape, dtype=self.dtype) for name, shape in shapes.items()}
        require_tensors("factors need", tensors, shapes)
        device = next((buffer.device for buffer in self.buffers()), torch.device("cpu"))
        publish(self, {n: tensors[n].to(device, self.dtype, copy=True) for n in shapes}, owners)
        self._reserves = Reserves()  # the old bank's room is not kept for a smaller one

    def _shapes(self, count: int) -> dict[str, tuple[int, ...]]:
        maps, parts = self.maps.items(), self.parts.items()
        return {name + part: (count, getattr(one, length)) for name, one in maps for part, length in parts}

    def _as_found(self, tensors: Mapping[str, Tensor], count: int) -> dict[str, tuple[int, ...]]:
        """The shapes of n terms in the maps that tensors are named after."""
        names = {name.removesuffix(part) for name in tensors for part in self.parts if name.endswith(part)}
        wanted = [name + part for name in sorted(names) for part in self.parts]
        return {name: (count, *tensors[name].shape[1:]) if name in tensors else (count, 0) for name in wanted}


class _Summed(NamedTuple):
    """The matrices W' of the terms of which `of` is a tensor."""

    of: Tensor | None
    weights: dict[str, Tensor]
