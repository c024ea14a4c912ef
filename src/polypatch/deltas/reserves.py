"""Reserves: room behind tensors that grow row by row, so that n rows cost O(n) to add one by one."""

from __future__ import annotations

from torch import Tensor


class Reserves:
    """The room behind each of some tensors, by name."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Tensor, Tensor]] = {}

    def longer(self, name: str, old: Tensor, rows: Tensor) -> Tensor:
        """The tensor with `rows` behind it: in the room its reserve has left, else in a new reserve of twice the size.

        A tensor that was moved, converted, cut or replaced since is copied: what was cut off may still be looked at
        from outside, and is not written over.
        """
        used = len(old) + len(rows)
        reserve, latest = self._kept.get(name, (old, None))
        if old is not latest or len(reserve) < used or reserve.is_inference():
            reserve = old.new_empty(max(used, 2 * len(old)), *old.shape[1:])
            reserve[: len(old)] = old.detach()
        reserve[len(old) : used] = rows
        # `data`: to autograd the rows in use do not change when others are written behind them.
        self._kept[name] = reserve, reserve.data[:used]
        return self._kept[name][1]
