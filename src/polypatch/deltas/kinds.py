"""THE TABLE of delta kinds, the only place that lists them: a new kind is its file and one row here.

It is read without waiting for torch: a row imports its file when a delta is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from polypatch.deltas.delta import Delta
    from polypatch.sites.site import FeedForwardSite


@dataclass(frozen=True)
class Kind:
    """How an empty delta of one kind is made, and what a folder of edits may say of it.

    Attributes:
        on: one on a site; the scope is what `edit_config.json` names.
        alone: one without its model, of the query's length d, the number of labels and a type; None for a kind that
            changes the model's own matrices and cannot do without them.
        scopes: what the scope may be.
        shared: what the edits in it share, so that none can be cut out; empty where every edit has its own part.
    """

    on: Callable[[FeedForwardSite, str | None], Delta]
    alone: Callable[[int, int, torch.dtype], Delta] | None = None
    scopes: tuple[str | None, ...] = (None,)
    shared: str = ""

    @property
    def in_parts(self) -> bool:
        """The delta grows by a part for every edit; else each edit replaces its numbers."""
        return self.alone is not None


def _patches(site: FeedForwardSite, scope: str | None) -> Delta:
    from polypatch.deltas.patch_bank import PatchBank

    del scope
    return PatchBank(site.hidden_size, site.activation_name, site.device, site.dtype)


def _patches_alone(width: int, labels: int, dtype: torch.dtype) -> Delta:
    from polypatch.deltas.patch_bank import PatchBank

    del labels
    return PatchBank(width, dtype=dtype)


def _codebook(site: FeedForwardSite, scope: str | None) -> Delta:
    from polypatch.deltas.codebook import Codebook

    del scope
    return Codebook(site.hidden_size, site.width, site.device, site.dtype)


def _codebook_alone(width: int, labels: int, dtype: torch.dtype) -> Delta:
    from polypatch.deltas.codebook import Codebook

    return Codebook(width, labels, dtype=dtype)


def _nearest(site: FeedForwardSite, scope: str | None) -> Delta:
    from polypatch.deltas.nearest_bank import NearestBank

    del scope
    return NearestBank(site.hidden_size, site.read_size, site.device, site.dtype)


def _nearest_alone(width: int, labels: int, dtype: torch.dtype) -> Delta:
    from polypatch.deltas.nearest_bank import NearestBank

    del labels
    return NearestBank(width, dtype=dtype)


def _weights(site: FeedForwardSite, scope: str | None) -> Delta:
    from polypatch.deltas.weight_delta import WeightDelta

    return WeightDelta(site, scope or "ffn")


def _low_rank(site: FeedForwardSite, scope: str | None) -> Delta:
    from polypatch.deltas.low_rank import LowRankDelta

    del scope
    return LowRankDelta(site)


def _factors(site: FeedForwardSite, scope: str | None) -> Delta:
    from polypatch.deltas.factor_bank import FactorBank

    return FactorBank(site, scope or "writer")


def _factors_alone(width: int, labels: int, dtype: torch.dtype) -> Delta:
    from polypatch.deltas.factor_bank import FactorBank

    del width, labels
    return FactorBank(None, dtype=dtype)


def _gradients(site: FeedForwardSite, scope: str | None) -> Delta:
    from polypatch.deltas.gradient_bank import GradientBank

    return GradientBank(site, scope or "writer")


def _gradients_alone(width: int, labels: int, dtype: torch.dtype) -> Delta:
    from polypatch.deltas.gradient_bank import GradientBank

    del width, labels
    return GradientBank(None, dtype=dtype)


def _ridge(site: FeedForwardSite, scope: str | None) -> Delta:
    from polypatch.deltas.ridge_bank import RidgeBank

    return RidgeBank(site, scope or "writer")


def _ridge_alone(width: int, labels: int, dtype: torch.dtype) -> Delta:
    from polypatch.deltas.ridge_bank import RidgeBank

    del width, labels
    return RidgeBank(None, dtype=dtype)


def _side(site: FeedForwardSite, scope: str | None) -> Delta:
    from polypatch.deltas.side_memory import SideMemory

    del scope
    return SideMemory(site)


def _blocks(site: FeedForwardSite, scope: str | None) -> Delta:
    from polypatch.deltas.block_book import BlockBook

    del scope
    return BlockBook(site)


def _blocks_alone(width: int, labels: int, dtype: torch.dtype) -> Delta:
    from polypatch.deltas.block_book import BlockBook

    return BlockBook(None, hidden_size=width, labels=labels, dtype=dtype)


def _extra(site: FeedForwardSite, scope: str | None) -> Delta:
    from polypatch.deltas.extra_neurons import ExtraNeurons

    del scope
    return ExtraNeurons(site)


def _residual(site: FeedForwardSite, scope: str | None) -> Delta:
    from polypatch.deltas.residual_memory import ResidualMemory

    del scope
    return ResidualMemory(site)


_CHANGED = "changed weights that they share"

KINDS: dict[str, Kind] = {
    "patches": Kind(_patches, _patches_alone),
    "weights": Kind(_weights, scopes=("ffn", "layer"), shared=_CHANGED),
    "low-rank": Kind(_low_rank, shared=_CHANGED),
    "factors": Kind(_factors, _factors_alone, scopes=("writer", "ffn")),
    "gradient-factors": Kind(_gradients, _gradients_alone, scopes=("writer", "ffn")),
    "ridge-factors": Kind(_ridge, _ridge_alone, scopes=("writer", "ffn")),
    "extra": Kind(_extra, shared="are in neurons that they share"),
    "residual": Kind(_residual, shared="are in one residual memory"),
    "side": Kind(_side, shared="are in one side memory"),
    "nearest": Kind(_nearest, _nearest_alone),
    "codebook": Kind(_codebook, _codebook_alone, shared="are in a codebook whose radii they share"),
    "blocks": Kind(_blocks, _blocks_alone, shared="are in clusters that they share"),
}
"""Kinds by name: `Delta.kind`, which is also what `edit_config.json` calls them."""


def on_site(site: FeedForwardSite, config: Mapping[str, Any]) -> Delta:
    """An empty delta of the kind and scope that the configuration of a folder names."""
    return KINDS[config["delta"]].on(site, config["scope"])


def standing_alone(config: Mapping[str, Any], like: Mapping[str, Tensor]) -> Delta | None:
    """The same without the model; None where the kind cannot do without it.

    Args:
        config: of a folder.
        like: tensors that it will hold; their type is its own.
    """
    import torch

    make = KINDS[config["delta"]].alone
    dtype = next((tensor.dtype for tensor in like.values() if tensor.is_floating_point()), torch.float32)
    return None if make is None else make(config["hidden_size"], len(config["labels"]), dtype)
