"""An index of entries: each lies in the cell of the landmark that it is most similar to, and a text looks in few cells.

That is an inverted file (Sivic and Zisserman 2003, https://doi.org/10.1109/ICCV.2003.1238663) whose centroids are the
landmarks, to which every text and every entry is compared in any case.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

BLOCK = 4096
"""Entries are put into cells so many at a time; the rest, which is all of them at first, is looked through."""

PROBES = 64
"""Cells that a text looks in: those of the landmarks that it is most similar to."""


def sorted_into_cells(cells: Tensor, landmarks: int, before: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """Whole blocks of entries by their cells [n]: their numbers, sorted by cell, and where each cell begins [m + 1]."""
    count = len(cells) // BLOCK * BLOCK
    if before and len(before["order"]) == count:
        return {name: before[name] for name in ("order", "starts")}
    order = torch.argsort(cells[:count], stable=True)
    starts = torch.bincount(cells[:count], minlength=landmarks).cumsum(0)
    return {"order": order, "starts": torch.cat([starts.new_zeros(1), starts])}


def most_similar(u: Tensor, beside: Tensor, now: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The similarity to the nearest entry of each text, and which it is. u: [n, r]; beside: to every landmark [n, m].

    An entry in no cell that is looked in is not found; of a text that is an entry's own, that entry always is.
    """
    keys, order = now["keys"], now["order"]
    if not len(order) or beside.shape[1] <= PROBES:
        near, entry = (u @ keys.T).max(1)
        return near, entry
    found = [_in_cells(*one, now) for one in zip(u, beside.topk(PROBES, 1).indices, strict=True)]
    near, entry = (torch.stack(part) for part in zip(*found, strict=True))
    if len(order) == len(keys):
        return near, entry
    beyond, last = (u @ keys[len(order) :].T).max(1)
    return torch.maximum(near, beyond), torch.where(beyond > near, last + len(order), entry)


def _in_cells(u: Tensor, cells: Tensor, now: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The nearest entry in some cells, at similarity -2 where those are empty."""
    starts = now["starts"]
    first, size = starts[cells], starts[cells + 1] - starts[cells]
    before = size.cumsum(0) - size
    places = torch.arange(int(size.sum()), device=u.device)
    entries = now["order"][places + (first - before).repeat_interleave(size)]
    if not len(entries):
        return u.new_tensor(-2.0), cells.new_tensor(0)
    near, which = (now["keys"][entries] @ u).max(0)
    return near, entries[which]
