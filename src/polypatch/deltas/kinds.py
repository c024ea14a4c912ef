"""THE TABLE of delta kinds, the only place that lists them: a new kind is its file and one row here.

It is read without waiting for torch: a row imports its file when a delta is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
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


def _blocks(site: FeedForwardSite, scope: str | None) -> Delta:
    from polypatch.deltas.block_book import BlockBook

    del scope
    return BlockBook(site)


def _blocks_alone(width: int, labels: int, dtype: torch.dtype) -> Delta:
    from polypatch.deltas.block_book import BlockBook

    return BlockBook(None, hidden_size=width, labels=labels, dtype=dtype)


def _terms(place: str) -> Kind:
    """Rank-one terms of each edit: a `FactorBank`, or what is built on it. `place` is ``file.Class`` in ``deltas/``."""
    return Kind(
        lambda site, scope: _class(place)(site, scope or "writer"),
        lambda _, __, dtype: _class(place)(None, dtype=dtype),
        scopes=("writer", "ffn"),
    )


def _shared(place: str, what: str) -> Kind:
    """Numbers that all edits train, made from a site alone; `what` is that the edits share."""
    return Kind(lambda site, _: _class(place)(site), shared=what)


def _class(place: str) -> Any:
    module, _, name = place.partition(".")
    return getattr(import_module(f"polypatch.deltas.{module}"), name)


_CHANGED = "changed weights that they share"

KINDS: dict[str, Kind] = {
    "patches": Kind(_patches, _patches_alone),
    "weights": Kind(_weights, scopes=("ffn", "layer"), shared=_CHANGED),
    "low-rank": _shared("low_rank.LowRankDelta", _CHANGED),
    "factors": _terms("factor_bank.FactorBank"),
    "gradient-factors": _terms("gradient_bank.GradientBank"),
    "ridge-factors": _terms("ridge_bank.RidgeBank"),
    "extra": _shared("extra_neurons.ExtraNeurons", "are in neurons that they share"),
    "residual": _shared("residual_memory.ResidualMemory", "are in one residual memory"),
    "side": _shared("side_memory.SideMemory", "are in one side memory"),
    "nearest": Kind(_nearest, _nearest_alone),
    "codebook": Kind(_codebook, _codebook_alone, shared="are in a codebook whose radii they share"),
    "texts": Kind(
        lambda site, _: _class("text_store.TextStore")(site),
        lambda _, __, dtype: _class("text_store.TextStore")(None, dtype),
    ),
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
