"""How a feed-forward layer's query is made of the residual: ``q = r``, or ``q = N(r)``; or of something else."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from polypatch.sites.discovery.probe import probe_of
from polypatch.sites.discovery.trace import first_tensor, traced
from polypatch.sites.layers.edited_layer import EditedLayer
from polypatch.sites.network.shell import apart
from polypatch.sites.rows import Queries

CLOSE = 1e-4
"""Queries that differ by less, in units of the largest, are the layer's."""


class ResidualToQuery:
    """What a move of the residual does to the query.

    Where the residual's norm is not what gives the query, as in blocks whose attention and feed-forward layer read one
    input side by side, it does nothing.

    Args:
        layer: the layer.
    """

    def __init__(self, layer: EditedLayer) -> None:
        self.layer, self.norm = layer, _norm_of(layer) if layer.anatomy.residual else None

    def __call__(self, queries: Queries, more: Tensor) -> Tensor:
        """Q [n, d] once r has moved by `more` [n, d]."""
        q = queries.q[:, : self.layer.hidden_size]
        if queries.rest is None:
            return q + more
        if self.norm is None or not _close(_given_by(self.norm, queries.rest), q):
            return q
        return _given_by(self.norm, queries.rest + more)


def _norm_of(layer: EditedLayer) -> nn.Module | None:
    """The module whose output is the reader's input; None where there is none."""
    trace = traced(layer.model, probe_of(layer.model).batch(next(layer.model.parameters()).device))
    read = trace.last(layer.anatomy.reader)
    assert read.given is not None
    for call in trace.calls:
        inside = call.path.startswith(f"{layer.anatomy.layer}.") and call.ended < read.begun
        if inside and call.tensor is not None and call.given is not None and torch.equal(call.tensor, read.given):
            return apart(layer.model.get_submodule(call.path))
    return None


def _given_by(norm: Callable[[Tensor], object], x: Tensor) -> Tensor:
    found = first_tensor(norm(x))
    assert found is not None
    return found


def _close(one: Tensor, other: Tensor) -> bool:
    return float((one - other).detach().abs().max()) <= CLOSE * float(other.abs().max())
