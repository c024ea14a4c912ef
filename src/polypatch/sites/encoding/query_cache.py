"""The query cache: one vector of d numbers per row, encoded once, in memory or in mapped files.

A query depends on the row and the unedited encoder only, so it is addressed by content: the folder is named after the
encoder's fingerprint, the vector after the key of its row. A folder holds any number of shards, each written once and
put in place atomically, so two processes can share it and a kill leaves nothing half-written. Shards are mapped: all
processes on a machine read the same pages, and what a process holds itself is the index.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polypatch.errors import InputError
from polypatch.sites.encoding.query_shard import KEY, SUFFIX, Shard, open_shard, write_shard
from polypatch.sites.network.lock import Mutex
from polypatch.sites.rows import Row

SMALL = 512
"""Shards of fewer rows are read into memory: what a mapping would save is not worth one of the system's 65,530."""

_ROW = 32
"""Bits of a row's number within its part."""


@dataclass(frozen=True)
class CacheSummary:
    """What a query cache holds.

    Attributes:
        texts: with a query.
        hidden_size: numbers per query.
        dtype: what they are kept as: the model's own type, or ``float16``.
        rounding: largest difference that this has made to a number of a query; 0 for the model's own type.
        shards: files.
        disk_bytes: their size.
        memory_bytes: of the queries held in memory, neither mapped nor lent.
    """

    texts: int
    hidden_size: int
    dtype: str
    rounding: float
    shards: int
    disk_bytes: int
    memory_bytes: int


class QueryCache:
    """Row -> q, for one encoder.

    Args:
        hidden_size: d.
        device: where taken queries go; a cache without a directory also keeps them there.
        directory: where shards are read from and written to; None keeps the cache in memory only.
        dtype: what queries are kept as; float16 halves the room and rounds each number by 2⁻¹¹ of itself at most (and,
            below 2⁻¹⁴, by 2⁻²⁵).
        taken_as: what they are taken as: the model's own type.

    Raises:
        DataError: a shard in `directory` cannot be read, is damaged, or has another width or dtype.
    """

    def __init__(
        self,
        hidden_size: int,
        device: torch.device,
        directory: Path | None = None,
        *,
        dtype: torch.dtype = torch.float32,
        taken_as: torch.dtype = torch.float32,
    ) -> None:
        self.directory = directory
        self.hidden_size, self.device, self.dtype, self.taken_as = hidden_size, device, dtype, taken_as
        self._held = _Held(hidden_size, dtype, torch.device("cpu") if directory else device)
        self._parts: list[_Held | _Lent | Shard] = [self._held]
        # Where a query is: the number of its part, then `_ROW` bits with its number there.
        self._index: dict[bytes, int] = {}
        self._files: dict[str, int] = {}
        self._rounding = 0.0
        # For what adds rows. Rows are there before the index names them, so taking some needs no lock.
        self._adding = Mutex()
        if directory is not None:
            with _usable(directory):
                directory.mkdir(parents=True, exist_ok=True)
            self.refresh()

    def __len__(self) -> int:
        return len(self._index)

    def refresh(self) -> None:
        """Serve the shards too that others have put into the directory since.

        Raises:
            DataError: one of them cannot be read, is damaged, or has another width or dtype.
        """
        if self.directory is None:
            return
        with self._adding:
            with _usable(self.directory):
                found = sorted(self.directory.glob(f"*{SUFFIX}"))
            for path in found:
                if path.name not in self._files:
                    self._attach(*open_shard(path, self.hidden_size, self.dtype))

    def missing(self, rows: Sequence[Row]) -> list[Row]:
        """The rows without a query, each once, in order."""
        return [row for row in dict.fromkeys(rows) if row.key not in self._index]

    def add(self, rows: Sequence[Row], queries: Tensor) -> None:
        """Store the queries [n, d] of n new rows, and write them as one shard where the cache has a directory.

        Raises:
            InputError: float16 cannot hold one of them, or the disk refuses.
        """
        if not rows:
            return
        keys = b"".join(row.key for row in rows)
        stored, rounding = _kept(queries.detach().to(self._held.rows.device), self.dtype)
        with self._adding:
            if self.directory is None:
                self._rounding = max(self._rounding, rounding)
                self._hold(keys, stored)
                return
            path = self.directory / (hashlib.sha256(keys).hexdigest()[:24] + SUFFIX)
            with _usable(self.directory):
                write_shard(path, keys, stored, rounding)
            # From the file again: what was encoded is not kept twice.
            self._attach(*open_shard(path, self.hidden_size, self.dtype))

    def take(self, rows: Sequence[Row]) -> Tensor:
        """The queries [n, d], in the model's own type, of n rows that are all in the cache.

        Raises:
            DataError: a shard with one of them was damaged after it was written.
        """
        return self._rows([self._index[row.key] for row in rows], self.taken_as)

    def export(self) -> tuple[bytes, np.ndarray[Any, Any]]:
        """All keys, one after the other, and their rows [n, d] as they are kept.

        Raises:
            DataError: a shard was damaged after it was written.
        """
        with self._adding:
            index = dict(self._index)
        return b"".join(index), self._rows(list(index.values()), self.dtype).cpu().numpy()

    def lend(self, keys: bytes, rows: np.ndarray[Any, Any]) -> None:
        """Serve what another cache has exported, from where it lies, which may be read-only; none of it is copied.

        Raises:
            InputError: the rows are not of this cache's width and dtype, or not as many as the keys.
        """
        dtype = torch.empty(0, dtype=self.dtype).numpy().dtype
        if rows.shape != (len(keys) // KEY, self.hidden_size) or rows.dtype != dtype:
            raise InputError(
                f"rows {rows.shape} of {rows.dtype} for {len(keys) // KEY} keys cannot be lent to a cache of width "
                f"{self.hidden_size} kept as {dtype}"
            )
        with self._adding:
            self._serve(keys, _Lent(rows))

    def _rows(self, where: Sequence[int], dtype: torch.dtype) -> Tensor:
        places = torch.tensor(where, dtype=torch.long)
        of_part, rows = places >> _ROW, places & ((1 << _ROW) - 1)
        numbers: list[int] = sorted(set(of_part.tolist()))
        if len(numbers) == 1:
            return self._parts[numbers[0]].take(rows).to(self.device, dtype)
        taken = torch.empty(len(places), self.hidden_size, dtype=dtype, device=self.device)
        for number in numbers:
            chosen = (of_part == number).nonzero().flatten()
            # A file's rows leave it as they are; only those that were asked for go to the device.
            taken[chosen.to(self.device)] = self._parts[number].take(rows[chosen]).to(taken)
        return taken

    def summary(self) -> CacheSummary:
        """What the cache holds, and the room it takes."""
        return CacheSummary(
            texts=len(self),
            hidden_size=self.hidden_size,
            dtype=str(self.dtype).removeprefix("torch."),
            rounding=self._rounding,
            shards=len(self._files),
            disk_bytes=sum(self._files.values()),
            memory_bytes=self._held.rows.nbytes,
        )

    def _attach(self, keys: bytes, shard: Shard) -> None:
        """Serve a shard's rows: from the file, or from memory where it is small."""
        self._files[shard.path.name] = shard.size
        self._rounding = max(self._rounding, shard.rounding)
        if len(shard) < SMALL:
            shard.verify()
            self._hold(keys, shard.queries)
            return
        self._serve(keys, shard)

    def _serve(self, keys: bytes, part: _Lent | Shard) -> None:
        first = len(self._parts) << _ROW
        self._parts.append(part)
        for i, key in enumerate(_split(keys)):
            # Two processes may have encoded the same texts: the first shard has them.
            self._index.setdefault(key, first + i)

    def _hold(self, keys: bytes, queries: Tensor) -> None:
        fresh = {key: i for i, key in enumerate(_split(keys)) if key not in self._index}
        first = self._held.append(queries[list(fresh.values())])
        self._index.update((key, first + i) for i, key in enumerate(fresh))


@contextmanager
def _usable(directory: Path) -> Iterator[None]:
    """Inside the block a disk's refusal is an `InputError`."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{directory}: queries cannot be kept there ({error.strerror or error}); name another folder, or none"
        ) from error


def _split(keys: bytes) -> Iterator[bytes]:
    return (keys[i : i + KEY] for i in range(0, len(keys), KEY))


def _kept(queries: Tensor, dtype: torch.dtype) -> tuple[Tensor, float]:
    """Queries as a cache of `dtype` keeps them, and the largest difference that makes."""
    stored = queries.to(dtype)
    if dtype == queries.dtype:
        return stored, 0.0
    if bool((stored.isinf() & ~queries.isinf()).any()):
        raise InputError(
            f"a query has a number of size {float(queries.abs().max()):.3g}, and float16 ends at 65504: keep this "
            "model's queries in full precision (half=False)"
        )
    return stored, float((stored.to(queries) - queries).abs().max())


class _Lent:
    """Rows that belong to somebody else, often read-only: torch knows only tensors that can be written."""

    def __init__(self, rows: np.ndarray[Any, Any]) -> None:
        self.rows = rows

    def take(self, rows: Tensor) -> Tensor:
        """Rows [n, d] by number, copied."""
        return torch.from_numpy(self.rows.take(rows.numpy(), axis=0))


class _Held:
    """Rows in memory, of which more can be added."""

    def __init__(self, hidden_size: int, dtype: torch.dtype, device: torch.device) -> None:
        self.rows = torch.empty(0, hidden_size, dtype=dtype, device=device)
        self._used = 0

    def take(self, rows: Tensor) -> Tensor:
        """Rows [n, d] by number."""
        return self.rows.index_select(0, rows.to(self.rows.device))

    def append(self, queries: Tensor) -> int:
        """Copy rows to the end; returns the number of the first."""
        first, needed = self._used, self._used + len(queries)
        if needed > len(self.rows):
            # Doubling keeps appending linear in the number of texts.
            grown = self.rows.new_empty(max(needed, 2 * len(self.rows)), self.rows.shape[1])
            grown[:first] = self.rows[:first]
            self.rows = grown
        self.rows[first:needed] = queries.to(self.rows)
        self._used = needed
        return first
