"""What runs need and no cache has yet, in shards, each of which any process can encode.

A query depends on its row and on the unedited model, and on nothing that stands beside it: it has the same bits whoever
encodes it, with one thread each; several round otherwise. Shards are cut where `FrozenTail.encode` cuts, so they are
the files that one process would have written. The process that wants them writes them, each as soon as it comes: a kill
loses those that are under way.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch

from polypatch.errors import InputError
from polypatch.runs.events import Encoded
from polypatch.sites import FrozenTail, FullForward
from polypatch.sites.reads import Reads
from polypatch.sites.rows import Row

FEW = 2
"""So many shards, 4,096 rows, are encoded by the process that wants them.

A worker takes four seconds to start, the time in which 4 layers of 256 encode 4,000 texts, the world's model 24,000 and
mBERT 130. Where runs follow, it would have been started anyway.
"""


class NewShard(NamedTuple):
    """A shard that is not there yet, as plain data.

    Attributes:
        layer, reads: which of a workbench's tails reads it.
        fingerprint: of that tail's encoder.
        rows: the rows, none of which the cache has.
    """

    layer: int | None
    reads: Reads
    fingerprint: str
    rows: tuple[Row, ...]

    def queries(self, tail: FrozenTail | FullForward) -> np.ndarray[Any, Any]:
        """Encode it, by that tail of another process's workbench: [n, kept], in the model's own type.

        Raises:
            InputError: it is another model's.
        """
        tail = tail_of_same(tail, self.fingerprint)
        return tail.site.packed(tail.encoder.queries(self.rows)).cpu().numpy()


class Needed(NamedTuple):
    """All rows that runs need of one tail; which of them it has is its cache's to say."""

    layer: int | None
    reads: Reads
    tail: FrozenTail | FullForward
    rows: Sequence[Row]


class Unencoded:
    """What runs need of a workbench, to be encoded here or by others.

    Args:
        texts: how many distinct ones there are.
        needed: their rows, by tail.
        started: when it was begun to look for them (`time.perf_counter`).
    """

    def __init__(self, texts: int, needed: Sequence[Needed], started: float) -> None:
        self.texts, self.needed, self.started = texts, needed, started
        self.fresh = 0

    @cached_property
    def shards(self) -> list[NewShard]:
        """The shards that are lacking."""
        return [
            NewShard(one.layer, one.reads, one.tail.fingerprint, tuple(rows))
            for one in self.needed
            if isinstance(one.tail, FrozenTail)  # others keep no queries
            for rows in one.tail.shards(one.rows)
        ]

    @property
    def few(self) -> bool:
        """Whether they are best encoded here."""
        return len(self.shards) <= FEW

    def here(self) -> Encoded:
        """Encode all of them in this process."""
        self.fresh = sum(one.tail.encode(one.rows) for one in self.needed)
        return self.done()

    def keep(self, shard: NewShard, queries: np.ndarray[Any, Any]) -> None:
        """Put a shard that came back into its cache, and tell how far that is.

        Raises:
            InputError: half precision cannot hold one of the queries, or the disk refuses.
        """
        tail = next(one.tail for one in self.needed if one[:2] == shard[:2])
        # Copied: what others hand out may be read-only, which torch does not know.
        tail.cache.add(shard.rows, torch.from_numpy(np.array(queries)))
        self.fresh += len(shard.rows)
        if isinstance(tail, FrozenTail) and tail.progress is not None:
            tail.progress(self.fresh, sum(len(one.rows) for one in self.shards))

    def done(self) -> Encoded:
        """What was encoded."""
        summary = self.needed[0].tail.cache.summary()
        return Encoded(self.texts, self.fresh, summary, time.perf_counter() - self.started)


def tail_of_same(tail: FrozenTail | FullForward, fingerprint: str) -> FrozenTail:
    """A tail, where it is of the model with this fingerprint.

    Raises:
        InputError: it is another model's.
    """
    if isinstance(tail, FrozenTail) and tail.fingerprint == fingerprint:
        return tail
    raise InputError(
        f"{tail.site.model.name_or_path or 'the model'}: a worker found other weights, another tokenizer or another "
        "sentence encoder than the process that began; put them on shared storage, or name one revision of the hub's, "
        "and do not change them"
    )
