"""BlockBook: low-rank blocks of the layer's matrices, one for each edit, and clusters of queries that choose one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NoReturn

import torch
from torch import Tensor

from polypatch.deltas.checked import require_tensors
from polypatch.deltas.distances import distances
from polypatch.deltas.pieces import LookedUp
from polypatch.deltas.published import publish, seen_together
from polypatch.deltas.shared import inseparable
from polypatch.errors import ArtefactError, InputError
from polypatch.sites.layers.linear_maps import LinearMap, linear_maps
from polypatch.sites.site import FeedForwardSite

POINTS = ("keys", "clusters", "blocks", "kept")
CLUSTERS = ("radii", "classes")
WHOLE = ("kept", "radii")
"""What later edits change of earlier ones."""

SIDES = ("_a", "_b")
"""Ends of the names of blocks."""


class BlockBook(LookedUp):
    """``FFN'(q)`` is the layer with ``W + BᵢAᵢ`` for each of its matrices, i being the block that q chooses, if any.

    A query within a cluster (within its radius of its centre; of several the nearest) chooses the block of the nearest
    of the cluster's points. A centre is the mean of all points that its cluster was ever given.

    Attributes:
        keys: [n, d], the queries that are points.
        clusters, blocks: [n], of each point.
        kept: [n], 0 for a point that a later edit pushed out of its cluster, else 1.
        radii, classes: [c], of each cluster, and the id that its points are to say.
        owners: the edit id behind each point, in the order they were made.

    Args:
        site: the layer; None for a book that is only read and written, whose matrices are what its tensors say.
        rank: of the blocks, until some are loaded.
        hidden_size: length of the points, where there is no site.
        dtype: of the points, where there is no site.

    Raises:
        UnsupportedModelError: the layer is of experts, whose weights are no matrices.
    """

    keys: Tensor
    clusters: Tensor
    blocks: Tensor
    kept: Tensor
    radii: Tensor
    classes: Tensor
    overrides: Mapping[str, Tensor] = {}
    kind = "blocks"
    separable = False
    replaces = False
    mergeable = False
    unmergeable = "blocks that queries choose cannot be merged: no layer of a stock checkpoint looks up the nearest"

    def __init__(
        self,
        site: FeedForwardSite | None,
        rank: int = 1,
        *,
        hidden_size: int = 0,
        labels: int = 0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self._site = (site,)  # in a tuple: a module attribute would register the whole model as a submodule
        self.maps: dict[str, LinearMap] = {} if site is None else linear_maps(site.layer)
        self.labels = labels if site is None else site.width
        hidden_size, device, dtype = (
            (hidden_size, None, dtype) if site is None else (site.hidden_size, site.device, site.dtype)
        )
        self.register_buffer("keys", torch.empty(0, hidden_size, device=device, dtype=dtype))
        for name in (*POINTS[1:], "classes"):
            self.register_buffer(name, torch.empty(0, device=device, dtype=torch.long))
        self.register_buffer("radii", torch.empty(0, device=device, dtype=dtype))
        for name, one in self.maps.items():
            self.register_buffer(f"{name}_a", torch.empty(0, rank, one.given, device=device, dtype=dtype))
            self.register_buffer(f"{name}_b", torch.empty(0, one.out, rank, device=device, dtype=dtype))

    @property
    def site(self) -> FeedForwardSite:
        """The layer."""
        (site,) = self._site
        if site is None:
            raise InputError("these blocks are of a folder, without their model")
        return site

    def forward(self, q: Tensor, out: Tensor) -> Tensor:
        """`out`, or what the layer gives with the block that the query chooses."""
        now = seen_together(self)
        if not len(now["keys"]):
            return out
        point, _ = _chosen(q.to(now["keys"].dtype), now)
        block = torch.where(point < 0, -1, now["blocks"][point])
        changed = out.clone()
        for one in sorted({*block.tolist()} - {-1}):
            here = block == one
            given = {name: (now[f"{name}_a"][one], now[f"{name}_b"][one]) for name in self.maps}
            changed[here] = self.through(q[here], given).to(out.dtype)
        return changed

    def through(self, q: Tensor, block: Mapping[str, tuple[Tensor, Tensor]]) -> Tensor:
        """The layer with ``W + BA``, A [r, given] and B [out, r] by the names of its maps. q: [n, d] -> [n, d]."""
        own = self.site.matrices("ffn")
        sums = {}
        for name, (a, b) in block.items():
            more = self.maps[name].as_kept(b @ a)
            sums[self.maps[name].weight] = own[self.maps[name].weight].detach().to(more) + more
        return self.site.layer.ffn_with(q.to(self.keys.dtype), sums)

    def nearest(self, q: Tensor) -> tuple[int, float]:
        """The cluster whose centre is nearest to one query [d], and how far that is."""
        distance, cluster = distances(q.unsqueeze(0), _centres(seen_together(self)))[0].min(0)
        return int(cluster), float(distance)

    def activations(self, q: Tensor) -> Tensor:
        """1 − ‖q − centre‖ ÷ radius at the point whose block acts, 0 at the others: [n_texts, d] -> [n_texts, n]."""
        point, depth = _chosen(q.to(self.keys.dtype), seen_together(self))
        found = depth.new_zeros(len(q), self.patches + 1)
        return found.scatter(1, point.unsqueeze(1) % (self.patches + 1), depth.unsqueeze(1))[:, :-1]

    def without(self, piece: int) -> BlockBook:
        """A book in which one point chooses nothing."""
        rest = BlockBook(self.site)
        rest.load_tensors(self.tensors(), self.owners)
        rest.kept[piece] = 0
        return rest

    def add_block(self, block: Mapping[str, tuple[Tensor, Tensor]]) -> int:
        """Put a block into the book, which no point chooses yet: its number."""
        old = seen_together(self)
        grown = dict(old)
        for name, pair in block.items():
            for side, factor in zip("ab", pair, strict=True):
                grown[f"{name}_{side}"] = torch.cat([old[f"{name}_{side}"], factor.detach().unsqueeze(0)])
        publish(self, grown, self.owners)
        return len(old[f"{next(iter(self.maps))}_a"])

    def add_point(self, owner: str, key: Tensor, cluster: int, block: int) -> None:
        """Add one point [d], owned by an edit, to a cluster."""
        old = seen_together(self)
        more = {"keys": key, **{n: old[n].new_tensor(i) for n, i in zip(POINTS[1:], (cluster, block, 1), strict=True)}}
        grown = {name: torch.cat([old[name], row.detach().to(old[name]).unsqueeze(0)]) for name, row in more.items()}
        publish(self, {**old, **grown}, [*self.owners, owner])

    def add_cluster(self, radius: float, label: int) -> int:
        """Add a cluster without points: its number."""
        old = seen_together(self)
        more = {"radii": old["radii"].new_tensor([radius]), "classes": old["classes"].new_tensor([label])}
        publish(self, {**old, **{name: torch.cat([old[name], row]) for name, row in more.items()}}, self.owners)
        return len(old["radii"])

    def resize(self, cluster: int, radius: float) -> None:
        """Give a cluster another radius; points that lie farther from its centre are pushed out."""
        old = seen_together(self)
        radii, kept = old["radii"].clone(), old["kept"].clone()  # new tensors: a snapshot holds the old ones
        radii[cluster] = radius
        apart = self.spread(cluster)
        kept[(old["clusters"] == cluster).nonzero().flatten()[apart > radii[cluster]]] = 0
        publish(self, {**old, "radii": radii, "kept": kept}, self.owners)

    def spread(self, cluster: int) -> Tensor:
        """How far each of a cluster's points is from its centre, those that were pushed out included."""
        now = seen_together(self)
        return distances(_centres(now)[[cluster]], now["keys"][now["clusters"] == cluster])[0]

    def drop(self, edit_ids: Collection[str]) -> NoReturn:
        """Refused: clusters hold points of several edits.

        Raises:
            InputError: always.
        """
        raise inseparable(edit_ids, "edits in a book of blocks share its clusters")

    def since(self, patches: int) -> dict[str, Tensor]:
        """The points, clusters and blocks added since, and of all what later edits change."""
        now = self.tensors()
        points, clusters, blocks = patches, *(_counted(now[name][:patches]) for name in ("clusters", "blocks"))
        cuts = {**dict.fromkeys(POINTS, points), **dict.fromkeys(CLUSTERS, clusters), **dict.fromkeys(WHOLE, 0)}
        return {name: tensor[cuts.get(name, blocks) :].clone() for name, tensor in now.items()}

    def adopt(self, owner: str, tensors: Mapping[str, Tensor]) -> None:
        """Append what one edit left, and take over what it changed; ArtefactError as `load_tensors`."""
        points, clusters, _ = _sizes(tensors)
        if not self.owners:
            self.load_tensors(tensors, [owner] * points)
            return
        old = self.tensors()
        self._require(tensors, points, kept=self.patches + points, radii=len(old["radii"]) + clusters)
        whole = {n: new if n in WHOLE else torch.cat([old[n], new.to(old[n])]) for n, new in tensors.items()}
        self.load_tensors(whole, [*self.owners, *[owner] * points])

    def tensors(self) -> dict[str, Tensor]:
        """The attributes; and ``…_a`` [b, r, given] and ``…_b`` [b, out, r] of each matrix, by its name."""
        return {name: buffer.detach().cpu().contiguous() for name, buffer in self.named_buffers()}

    def load_tensors(self, tensors: Mapping[str, Tensor], owners: Sequence[str]) -> None:
        """Replace the book; the rank becomes that of these blocks.

        Raises:
            ArtefactError: a tensor is missing, has another shape or type than n owners and the model imply, or holds
                what cannot be.
        """
        if not owners and not any(name.endswith(SIDES) for name in tensors):  # of a folder, without the model
            tensors = {**self.tensors(), **tensors}
        _, clusters, blocks = _sizes(tensors)
        self._require(tensors, len(owners), kept=len(owners), radii=clusters)
        _require_numbers(tensors, {"clusters": clusters, "blocks": blocks, "kept": 2, "classes": self.labels})
        like = seen_together(self)
        publish(self, {n: tensor.to(like.get(n, like["keys"]), copy=True) for n, tensor in tensors.items()}, owners)

    def _require(self, tensors: Mapping[str, Tensor], points: int, *, kept: int, radii: int) -> None:
        """Of n points, and of as many clusters and blocks as there are of others of their kind."""
        _, clusters, blocks = _sizes(tensors)
        shapes: dict[str, tuple[int, ...]] = {"keys": (points, self.keys.shape[1]), "kept": (kept,), "radii": (radii,)}
        shapes |= {"clusters": (points,), "blocks": (points,), "classes": (clusters,)}
        known = seen_together(self) if self.owners or self.maps else tensors
        rank = _rank(known if self.owners else tensors)
        for name, factor in known.items():
            if name.endswith("_a"):
                shapes[name] = blocks, rank, factor.shape[-1]
            elif name.endswith("_b"):
                shapes[name] = blocks, factor.shape[min(1, factor.dim() - 1)], rank
        require_tensors("a book of blocks needs", tensors, shapes, whole=(*POINTS[1:], "classes"))
        if not bool((tensors["radii"] > 0).all()):
            raise ArtefactError("radii holds numbers that are not above 0")


def _require_numbers(tensors: Mapping[str, Tensor], below: Mapping[str, int]) -> None:
    for name, end in below.items():
        if not bool(((tensors[name] >= 0) & (tensors[name] < end)).all()):
            raise ArtefactError(f"{name} holds numbers that are not between 0 and {end - 1}")


def _sizes(tensors: Mapping[str, Tensor]) -> tuple[int, int, int]:
    """How many points, clusters and blocks."""
    factor = next((name for name in tensors if name.endswith(SIDES)), "")
    found = (tensors.get(name) for name in ("keys", "classes", factor))
    points, clusters, blocks = (0 if tensor is None or not tensor.dim() else len(tensor) for tensor in found)
    return points, clusters, blocks


def _rank(tensors: Mapping[str, Tensor]) -> int:
    return next((tensor.shape[1] for n, tensor in tensors.items() if n.endswith("_a") and tensor.dim() == 3), 0)


def _counted(numbers: Tensor) -> int:
    """Of things that are numbered in the order in which they come."""
    return int(numbers.max()) + 1 if len(numbers) else 0


def _centres(now: Mapping[str, Tensor]) -> Tensor:
    """The mean of each cluster's points [c, d]."""
    keys, clusters, radii = now["keys"], now["clusters"], now["radii"]
    sums = keys.new_zeros(len(radii), keys.shape[1]).index_add(0, clusters, keys)
    return sums / torch.bincount(clusters, minlength=len(radii)).clamp(min=1).unsqueeze(1)


def _chosen(q: Tensor, now: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The point that each query chooses [n], -1 for none, and how deep in its cluster that lies [n], 0 for none."""
    distance, cluster = distances(q, _centres(now)).min(1)
    depth = 1 - distance / now["radii"][cluster]
    others = (now["clusters"] != cluster.unsqueeze(1)) | (now["kept"] == 0)
    apart, point = distances(q, now["keys"]).masked_fill(others, torch.inf).min(1)
    within = (depth >= 0) & apart.isfinite()
    return torch.where(within, point, -1), torch.where(within, depth, 0)
