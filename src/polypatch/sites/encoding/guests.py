"""Queries of rows that were only asked about: the latest few, so that a model that is served does not grow."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from polypatch.sites.network.lock import Mutex
from polypatch.sites.rows import Row


class Guests:
    """Row -> q, for the rows asked about last.

    Args:
        room: of so many rows; 0 keeps none.
    """

    def __init__(self, room: int) -> None:
        self.room = room
        self._rows: OrderedDict[bytes, Tensor] = OrderedDict()
        self._changing = Mutex()

    def __len__(self) -> int:
        return len(self._rows)

    def queries(self, rows: Sequence[Row], encode: Callable[[Sequence[Row]], Tensor]) -> Tensor:
        """Queries [n, d] of n ≥ 1 rows; those that are not here are encoded, and the oldest make room for them."""
        keys = [row.key for row in rows]
        with self._changing:
            known = {key: self._rows[key] for key in keys if key in self._rows}
        missing = {key: row for key, row in zip(keys, rows, strict=True) if key not in known}
        if missing:
            fresh = zip(missing, encode(list(missing.values())), strict=True)
            known.update((key, row.clone()) for key, row in fresh)  # a row alone, not a view of all that came with it
        with self._changing:
            for key in dict.fromkeys(keys):
                self._rows[key] = known[key]
                self._rows.move_to_end(key)
            while len(self._rows) > self.room:
                self._rows.popitem(last=False)
        return torch.stack([known[key] for key in keys])
