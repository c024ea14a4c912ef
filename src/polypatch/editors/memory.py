"""The memory: queries of unrelated texts that an edit must leave alone, and of the edits made before."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor

from polypatch.editors.leading import Leading, leading
from polypatch.editors.moments import Moments
from polypatch.sites import Row

T = TypeVar("T")


class MemoryRows:
    """A growing table of queries [M, d] with multiplicities.

    Past edits enter with a count (the released code appends eight identical rows for each), and so do positions that
    see the same: a beginning that many texts share. A count costs nothing where copies would cost a slower step for
    every later edit.

    Args:
        asked: the rows that were read.
        queries: [M, d], one per row.
        counts: how often each counts [M]; None for once.
        groups: which of the memory's groups each is of [M], where there are any.
        begins: whether an answer begins there [M], which is so at one position of each text; None for everywhere.
    """

    def __init__(
        self,
        asked: Sequence[Row],
        queries: Tensor,
        counts: Tensor | None = None,
        groups: Tensor | None = None,
        begins: Tensor | None = None,
    ) -> None:
        self.asked: list[Row] = list(asked)
        self._rows = queries.detach().clone()
        once = torch.ones(len(queries), dtype=torch.long, device=queries.device)
        self._counts = once if counts is None else counts.to(once)
        self.groups = torch.zeros_like(once) if groups is None else groups.to(once)
        self.begins = once.bool() if begins is None else begins.to(once.device)
        self.base = self.used = self._written = len(queries)
        self._lengths: Tensor = self._rows.norm(dim=1)
        self._worked_out: dict[str, Any] = {}

    @property
    def lengths(self) -> Tensor:
        """The norm of each row [M]."""
        return self._lengths[: self.used]

    @property
    def rows(self) -> Tensor:
        """The queries [M, d]."""
        return self._rows[: self.used]

    @property
    def counts(self) -> Tensor:
        """How often each row counts [M]."""
        return self._counts[: self.used]

    @cached_property
    def moments(self) -> Moments:
        """Mean and covariance, kept up to date."""
        return self.once("moments", lambda: Moments(self)).anew()

    @property
    def leading(self) -> Leading:
        """The directions along which most of it lies; of the rows that it began with, which never change."""
        return self.once("leading", lambda: leading(self._rows[: self.base]))

    def spread(self, count: int) -> list[int]:
        """So many of the rows that it began with, or all, evenly spaced among those where an answer begins."""
        begins = self.begins[: self.base].nonzero().flatten().tolist()
        count = min(count, len(begins))
        return [begins[i * len(begins) // count] for i in range(count)]

    def once(self, what: str, make: Callable[[], T]) -> T:
        """What `make` gives, which is worked out once, by name; of the rows that it began with, which never change."""
        if what not in self._worked_out:
            self._worked_out[what] = make()
        return self._worked_out[what]  # type: ignore[no-any-return]

    def append(self, asked: Sequence[Row], queries: Tensor, count: int) -> None:
        """Add rows that count `count` times each."""
        needed = self.used + len(queries)
        # Rows that were cut off are not written over: a photograph may hold them.
        if needed > len(self._rows) or self.used < self._written:
            # By a quarter, so that appending stays linear in the number of edits without doubling a large memory.
            room = max(needed, self.used + self.used // 4)
            self._rows = _grown(self._rows, self.used, room)
            self._lengths = _grown(self._lengths, self.used, room)
            self._counts = _grown(self._counts, self.used, room)
        self._rows[self.used : needed] = queries.detach()
        self._lengths[self.used : needed] = queries.detach().norm(dim=1)
        self._counts[self.used : needed] = count
        self.asked.extend(asked)
        self.used = self._written = needed

    def cut(self, used: int) -> None:
        """Forget all rows from `used` on."""
        self.used = used
        del self.asked[used:]
        if "moments" in vars(self):
            self.moments.forget(used)

    def first(self) -> MemoryRows:
        """The rows that it began with, by themselves, and what was worked out of them."""
        base = self.base
        first = MemoryRows(self.asked[:base], self.rows[:base], self.counts[:base], self.groups, self.begins)
        first._worked_out = self._worked_out
        return first

    def photograph(self) -> dict[str, Any]:
        """Everything as it is, to be put back whatever becomes of it; no row is copied."""
        moments = {"moments": copy.copy(self.moments)} if "moments" in vars(self) else {}
        return {**vars(self), **moments, "asked": list(self.asked)}

    def put_back(self, photograph: dict[str, Any]) -> None:
        """Be as photographed."""
        vars(self).clear()
        vars(self).update(photograph)


@dataclass
class Memory:
    """What an editor trains against, and what its stopping rule watches.

    Attributes:
        train: the learning memory (texts of the training set).
        validation: the stopping memory (texts of the validation set), disjoint from `train`.
        scatter: mean square of what a translation changes in a query [d, d]; None where nothing is known of that.
    """

    train: MemoryRows
    validation: MemoryRows
    scatter: Tensor | None = None

    def append(self, asked: Sequence[Row], queries: Tensor, count: int) -> None:
        """Protect an edit that was just made: its rows join both memories."""
        self.train.append(asked, queries, count)
        self.validation.append(asked, queries, count)

    def snapshot(self) -> tuple[int, int]:
        """A point to go back to."""
        return self.train.used, self.validation.used

    @property
    def base(self) -> tuple[int, int]:
        """The point before the first edit."""
        return self.train.base, self.validation.base

    def restore(self, snapshot: tuple[int, int]) -> None:
        """Forget the rows appended since."""
        self.train.cut(snapshot[0])
        self.validation.cut(snapshot[1])

    def photograph(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Both parts as they are, to be put back even where they were cut and filled anew since."""
        return self.train.photograph(), self.validation.photograph()

    def put_back(self, photograph: tuple[dict[str, Any], dict[str, Any]]) -> None:
        """Be as photographed."""
        self.train.put_back(photograph[0])
        self.validation.put_back(photograph[1])

    def first(self) -> Memory:
        """As it began, by itself."""
        return Memory(self.train.first(), self.validation.first(), self.scatter)


def _grown(tensor: Tensor, used: int, room: int) -> Tensor:
    grown = tensor.new_empty(room, *tensor.shape[1:])
    grown[:used] = tensor[:used]
    return grown
