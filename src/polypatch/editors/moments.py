"""Mean and covariance of a memory, kept up to date row by row, so that an edit costs no pass over it."""

from __future__ import annotations

import copy
from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class CountedRows(Protocol):
    """A growing table of rows with multiplicities; `MemoryRows` is one."""

    base: int
    used: int

    @property
    def rows(self) -> Tensor:
        """The rows [used, d]."""
        ...

    @property
    def counts(self) -> Tensor:
        """How often each counts [used]."""
        ...


class Sums(NamedTuple):
    """Over the first `used` rows q with their counts c, in float64: Σ c, Σ c·q [d] and Σ c·q qᵀ [d, d]."""

    used: int
    weight: Tensor
    first: Tensor
    second: Tensor

    def plus(self, rows: CountedRows) -> Sums:
        """With all rows of the memory.

        Row by row: then the sums do not depend on how many edits were made between two looks, and a stream that was
        resumed has the bits of one that was not.
        """
        if self.used == rows.used:
            return self
        weight, first, second = (part.clone() for part in self[1:])
        for q, times in zip(rows.rows[self.used :].double(), rows.counts[self.used :].double(), strict=True):
            weight += times
            first += times * q
            second.addr_(q, q, alpha=float(times))
        return Sums(rows.used, weight, first, second)


class Moments:
    """Mean μ [d] and covariance C [d, d] of a growing memory.

    Args:
        rows: the memory, whose `base` rows never change.
    """

    def __init__(self, rows: CountedRows) -> None:
        base, counts = rows.rows[: rows.base].double(), rows.counts[: rows.base].double().unsqueeze(1)
        counted = base * counts if bool((counts != 1).any()) else base
        self._base = Sums(rows.base, counts.sum(), counted.sum(0), counted.T @ base)
        # The newest sums, and those before: an edit that is taken back goes one step back, not to the beginning.
        self._latest = self._before = self._base

    def anew(self) -> Moments:
        """Those of the rows that it began with."""
        found = copy.copy(self)
        found._latest = found._before = found._base
        return found

    def forget(self, used: int) -> None:
        """Rows from `used` on were cut off: sums that hold them are of a memory that is no more."""
        if self._before.used > used:
            self._before = self._base
        if self._latest.used > used:
            self._latest = self._before

    def of(self, rows: CountedRows) -> tuple[Tensor, Tensor]:
        """μ = Σ c·q ÷ Σ c and C = Σ c·q qᵀ ÷ Σ c − μ μᵀ of the memory as it is."""
        known = next((sums for sums in (self._latest, self._before) if sums.used <= rows.used), self._base)
        sums = known.plus(rows)
        if sums is not self._latest:
            self._before, self._latest = known, sums
        mean = sums.first / sums.weight
        return mean, sums.second / sums.weight - torch.outer(mean, mean)
