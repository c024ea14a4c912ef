"""What the map that writes a feed-forward layer's output is given: k of ``out = W₂ k + b``."""

from __future__ import annotations

import torch
from torch import Tensor

from polypatch.sites.layers.linear_maps import last_map, layer_pass
from polypatch.sites.site import FeedForwardSite


class WrittenFrom:
    """k of a query, whether the layer is plain or gated.

    Attributes:
        size: f, the length of k.

    Args:
        site: the feed-forward layer.

    Raises:
        UnsupportedModelError: the layer is of experts: no one matrix writes its output.
    """

    def __init__(self, site: FeedForwardSite) -> None:
        self.site, writer = site, last_map(site.layer)
        self.name, self.size = writer.name, writer.given

    @torch.no_grad()
    def __call__(self, q: Tensor) -> Tensor:
        """[n, d] -> [n, f]."""
        layer = self.site.layer
        if layer.plain:
            return layer.activation(layer.reader.forward(q))
        return layer_pass(layer, q).given[self.name]
