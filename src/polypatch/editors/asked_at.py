"""A change that is asked at some queries and nowhere else: what looks a query up is trained without looking it up."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from polypatch.deltas.distances import distances
from polypatch.sites.site import ChangeFunction

SAME = 1e-3
"""Queries that are so near, relatively, are one: a text's query differs in its last bits from pass to pass."""


class AskedAt:
    """`change` at the queries `at` [n, d], the unedited output anywhere else. A `Change`."""

    overrides: Mapping[str, Tensor] = MappingProxyType({})

    def __init__(self, at: Tensor, change: ChangeFunction) -> None:
        self.at, self.change = at, change

    def __call__(self, q: Tensor, out: Tensor) -> Tensor:
        """`out`, or `change` of it."""
        here, _ = _found(q, self.at)
        return torch.where(here, self.change(q, out), out)


class AddedAt:
    """`out` plus row i of `added` [n, d] at the i-th query of `at` [n, d], `out` anywhere else. A `Change`."""

    overrides: Mapping[str, Tensor] = MappingProxyType({})

    def __init__(self, at: Tensor, added: Tensor) -> None:
        self.at, self.added = at, added

    def __call__(self, q: Tensor, out: Tensor) -> Tensor:
        """`out`, or moved."""
        here, nearest = _found(q, self.at)
        return torch.where(here, out + self.added[nearest].to(out.dtype), out)


def _found(q: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
    """Which queries are one of `at` [n, 1], and the number of the nearest there [n]."""
    apart, nearest = distances(q, at).min(1)
    return (apart <= SAME * q.norm(dim=1)).unsqueeze(1), nearest
