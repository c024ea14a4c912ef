"""The query cache: one vector of d numbers per text, encoded once, kept in memory and, when asked, on disk.

A query depends on the text and the unedited encoder only, so it is addressed by content: the folder is named after the
encoder's fingerprint, the row after the hash of the text. A folder holds any number of shards, each written once and
put in place atomically, so two processes can share it and a kill leaves nothing half-written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from polypatch.edits import Text
from polypatch.errors import DataError
from polypatch.files import write_atomic

_SUFFIX = ".queries.safetensors"


def text_key(text: Text) -> bytes:
    """32 bytes that stand for a text. The parts of a pair are length-prefixed, so no two inputs share a key."""
    digest = hashlib.sha256()
    for part in text if isinstance(text, tuple) else (text,):
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "little"))
        digest.update(raw)
    return digest.digest()


class QueryCache:
    """Text -> q, for one encoder.

    Args:
        hidden_size: d.
        device: where the rows are kept for use.
        directory: where shards are read from and written to; None keeps the cache in memory only.

    Raises:
        DataError: a shard in `directory` cannot be read or has another width.
    """

    def __init__(self, hidden_size: int, device: torch.device, directory: Path | None = None) -> None:
        self.directory = directory
        self._rows = torch.empty(0, hidden_size, device=device)
        self._used = 0
        self._index: dict[bytes, int] = {}
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
            for shard in sorted(directory.glob(f"*{_SUFFIX}")):
                self._read(shard)

    def __len__(self) -> int:
        return self._used

    def missing(self, texts: Sequence[Text]) -> list[Text]:
        """The texts without a row, each once, in order."""
        absent = {text_key(text): text for text in texts}
        return [text for key, text in absent.items() if key not in self._index]

    def add(self, texts: Sequence[Text], queries: Tensor) -> None:
        """Store the queries [n, d] of n new texts, and write them as one shard where the cache has a directory."""
        keys = [text_key(text) for text in texts]
        self._append(keys, queries)
        if self.directory is not None and keys:
            self._write(self.directory, keys, queries)

    def take(self, texts: Sequence[Text]) -> Tensor:
        """The queries [n, d] of n texts that are all in the cache."""
        rows = [self._index[text_key(text)] for text in texts]
        return self._rows[torch.tensor(rows, dtype=torch.long, device=self._rows.device)]

    def _append(self, keys: Sequence[bytes], queries: Tensor) -> None:
        needed = self._used + len(keys)
        if needed > len(self._rows):
            # Doubling keeps appending linear in the number of texts.
            grown = self._rows.new_empty(max(needed, 2 * len(self._rows)), self._rows.shape[1])
            grown[: self._used] = self._rows[: self._used]
            self._rows = grown
        self._rows[self._used : needed] = queries.to(self._rows)
        self._index.update((key, self._used + i) for i, key in enumerate(keys))
        self._used = needed

    def _write(self, directory: Path, keys: Sequence[bytes], queries: Tensor) -> None:
        table = torch.from_numpy(np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, 32).copy())
        payload = save({"keys": table, "queries": queries.detach().to("cpu", torch.float32).contiguous()})
        name = hashlib.sha256(b"".join(keys)).hexdigest()[:24] + _SUFFIX
        write_atomic(directory / name, payload)

    def _read(self, shard: Path) -> None:
        try:
            tensors = load_file(shard)
            keys, queries = tensors["keys"], tensors["queries"]
        except (SafetensorError, KeyError, OSError) as error:
            raise DataError(f"{shard}: not a readable shard of queries ({error}); delete the file") from error
        wanted = (len(keys) if keys.dim() else 0, self._rows.shape[1])
        if queries.shape != wanted or keys.shape[1:] != (32,) or keys.dtype != torch.uint8:
            raise DataError(
                f"{shard}: keys {tuple(keys.shape)} and queries {tuple(queries.shape)} do not belong to an encoder of "
                f"width {self._rows.shape[1]}; delete the file"
            )
        fresh = [i for i, key in enumerate(keys.numpy()) if key.tobytes() not in self._index]
        self._append([keys[i].numpy().tobytes() for i in fresh], queries[fresh])
