"""One file of cached queries: written once, put in place atomically, and mapped rather than read.

A shard holds ``keys`` [n, 32] (uint8), ``queries`` [n, d] (float32 or float16), and checksums of both in its metadata.
Those written before there were checksums have no metadata; they are read, unchecked.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from polypatch.errors import DataError
from polypatch.files import write_atomic

SUFFIX = ".queries.safetensors"
KEY = 32
"""Bytes of a key."""


@dataclass
class Shard:
    """The rows of one file, as the operating system's pages of it: nothing is copied until rows are taken.

    Attributes:
        path: the file.
        queries: [n, d], mapped from the file.
        rounding: largest difference between a query and what is stored for it.
        size: of the file, in bytes.
        checksum: of the queries; None once it has been compared, or where the file has none.
    """

    path: Path
    queries: Tensor
    rounding: float
    size: int
    checksum: int | None

    def __len__(self) -> int:
        return len(self.queries)

    def take(self, rows: Tensor) -> Tensor:
        """Rows [n, d] by number, copied out of the file.

        Raises:
            DataError: the file's queries are not those that were written.
        """
        # At the first use and not at opening: opening touches no page of a shard that nobody asks for.
        self.verify()
        return self.queries.index_select(0, rows)

    def verify(self) -> None:
        """Compare the checksum, once.

        Raises:
            DataError: the file's queries are not those that were written.
        """
        if self.checksum is not None and self.checksum != _checksum(self.queries):
            raise DataError(f"{self.path}: the queries in it are damaged (their checksum differs); delete the file")
        self.checksum = None


def write_shard(path: Path, keys: bytes, queries: Tensor, rounding: float) -> None:
    """Write n keys, one after the other, and their queries [n, d] as they are."""
    table = torch.from_numpy(np.frombuffer(keys, dtype=np.uint8).reshape(-1, KEY).copy())
    rows = queries.detach().cpu().contiguous()
    stated = {"keys": str(_key_checksum(keys, rounding)), "queries": str(_checksum(rows)), "rounding": repr(rounding)}
    write_atomic(path, save({"keys": table, "queries": rows}, stated))


def open_shard(path: Path, hidden_size: int, dtype: torch.dtype) -> tuple[bytes, Shard]:
    """Map a shard; returns its keys, one after the other, and its rows.

    Raises:
        DataError: it cannot be read, is damaged, or belongs to an encoder of another width or a cache of another dtype.
    """
    table, queries, size, checks = _mapped(path)
    wanted = (len(table) if table.dim() else 0, hidden_size)
    fits = queries.shape == wanted and table.shape[1:] == (KEY,) and table.dtype == torch.uint8
    if not fits or queries.dtype != dtype:
        raise DataError(
            f"{path}: keys {tuple(table.shape)} and queries {tuple(queries.shape)} of {queries.dtype} do not belong to "
            f"an encoder of width {hidden_size} kept as {dtype}; delete the file"
        )
    keys = table.numpy().tobytes()
    if checks is None:
        return keys, Shard(path, queries, 0.0, size, None)
    of_keys, of_queries, rounding = checks
    if of_keys != _key_checksum(keys, rounding):
        raise DataError(f"{path}: the keys in it are damaged (their checksum differs); delete the file")
    return keys, Shard(path, queries, rounding, size, of_queries)


def _mapped(path: Path) -> tuple[Tensor, Tensor, int, tuple[int, int, float] | None]:
    """Keys, queries, the file's size, and where the file has them (checksum of keys, checksum of queries, rounding)."""
    try:
        # A pipe would be waited for.
        if not path.is_file():
            raise OSError("not a file")
        size = path.stat().st_size
        # Its header states every offset, and they must fill the file exactly. On the CPU its tensors are views of one
        # private mapping; the file itself is closed again, so that many shards need no more file descriptors.
        with safe_open(path, "pt") as file:
            table, queries, stated = file.get_tensor("keys"), file.get_tensor("queries"), file.metadata()
        if stated is None:
            return table, queries, size, None
        return table, queries, size, (int(stated["keys"]), int(stated["queries"]), float(stated["rounding"]))
    # RuntimeError: torch cannot map it. ValueError: a checksum that is no number.
    except (SafetensorError, KeyError, OSError, RuntimeError, ValueError) as error:
        raise DataError(f"{path}: not a readable shard of queries ({error}); delete the file") from error


def _key_checksum(keys: bytes, rounding: float) -> int:
    # With the one number that nothing else vouches for.
    return zlib.crc32(repr(rounding).encode(), zlib.crc32(keys))


def _checksum(queries: Tensor) -> int:
    return zlib.crc32(queries.flatten().view(torch.uint8).numpy().data)
