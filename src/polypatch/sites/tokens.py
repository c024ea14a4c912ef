"""From texts to batches of token tensors in canonical shapes, so that a query has the same bits whoever is beside it.

Two things must not depend on the neighbours. The length: a text is padded to the next multiple of `BUCKET`, never to
the longest of its batch. And the kernel: a matrix product goes through its rows tile by tile, and what is left over
for a last, partial tile is computed by other code, which rounds otherwise; which rows those are depends on how many
there are. So a pass over texts of one length always has the same number of rows, and times the length that is a
multiple of `TILE`, in which no kernel has rows left over. A pass with fewer texts is filled up with copies.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from polypatch.edits import Text
from polypatch.errors import InputError

BUCKET = 8

TILE = 48
"""A multiple of the rows that a kernel takes at once: 4, 6, 8, 12, 16, 24 or 48, by processor and type of number."""

TOKENS = {"cpu": 192}
"""Least token rows of a pass. More makes one text dearer, fewer makes many dearer: `benchmarks/encoding.py`."""

ACCELERATED = 6144
"""The same on any other device, where a small pass takes as long as a large one."""

_TOKENIZING = threading.Lock()
"""A fast tokenizer keeps the last call's truncation and padding: two calls at once would mix them up."""

NAMED = 2**17
"""So many texts are remembered by what the model reads of them; then the memory is cleared."""


class Tokens:
    """Tokenises texts and pairs the way the model was trained.

    Args:
        tokenizer: a Hugging Face tokenizer; padding is always on the right, because the head reads position 0.
        max_length: longest input in tokens; the tokenizer's own limit by default, or the model's where that is less.
        places: positions the model has; None where that is not known, and 512 are taken for it.

    Raises:
        InputError: a longer input than the model has positions for.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, max_length: int | None = None, places: int | None = None
    ) -> None:
        if max_length is not None and not 1 <= max_length <= (places or max_length):
            most = "at least 1" if places is None else f"from 1 to {places}, the model's positions"
            raise InputError(f"max_length should be {most}, is {max_length}")
        stated = tokenizer.model_max_length
        # Tokenizers that know no limit state a huge integer.
        self.max_length = max_length or min(stated if stated < 100_000 else places or 512, places or stated)
        self.tokenizer = tokenizer
        self._names: dict[Text, bytes] = {}

    def ids(self, texts: Sequence[Text]) -> list[dict[str, list[int]]]:
        """Per text its ``input_ids`` (and ``token_type_ids`` where the model has them), truncated, not padded."""
        if not texts:
            return []
        paired = {isinstance(text, tuple) for text in texts}
        if len(paired) > 1:
            raise InputError("texts and (premise, hypothesis) pairs cannot be mixed in one call")
        columns = [list(column) for column in zip(*texts, strict=True)] if paired.pop() else [list(texts)]
        with _TOKENIZING:
            encoded = self.tokenizer(*columns, truncation=True, max_length=self.max_length, padding=False)
        names = [name for name in encoded if name != "attention_mask"]
        return [{name: encoded[name][i] for name in names} for i in range(len(texts))]

    def names(self, texts: Sequence[Text]) -> list[bytes]:
        """A short name for what the model reads of each text: the same where it cannot tell two texts apart."""
        known = self._names  # another thread may begin a new one meanwhile
        fresh = [text for text in dict.fromkeys(texts) if text not in known]
        if len(known) + len(fresh) > NAMED:
            self._names = known = {}
            fresh = list(dict.fromkeys(texts))
        for text, row in zip(fresh, self.ids(fresh), strict=True):
            known[text] = hashlib.blake2b(repr(row).encode(), digest_size=16).digest()
        return [known[text] for text in texts]

    def pad(self, rows: Sequence[dict[str, list[int]]], device: torch.device) -> dict[str, Tensor]:
        """One batch, padded to the bucket of its longest row."""
        length = self._bucket(max(len(row["input_ids"]) for row in rows))
        fill = {"input_ids": int(self.tokenizer.pad_token_id or 0), "token_type_ids": 0}
        batch = {
            name: torch.tensor([row[name] + [fill.get(name, 0)] * (length - len(row[name])) for row in rows])
            for name in rows[0]
        }
        mask = [[1] * len(row["input_ids"]) + [0] * (length - len(row["input_ids"])) for row in rows]
        return {name: tensor.to(device) for name, tensor in (*batch.items(), ("attention_mask", torch.tensor(mask)))}

    def batches(
        self, texts: Sequence[Text], device: torch.device, *, filled: bool = True
    ) -> Iterator[tuple[list[int], dict[str, Tensor]]]:
        """(indices into `texts`, batch) pairs, shortest texts first, every batch of the shape that its length has.

        Args:
            texts: texts or pairs.
            device: where the tensors go.
            filled: fill the last batch of a length up with copies of its first text; its first rows are `texts`'.
                Without, it is smaller, and the last bits of what comes of it may be others.
        """
        rows = self.ids(texts)
        buckets: dict[int, list[int]] = defaultdict(list)
        for i, row in enumerate(rows):
            buckets[self._bucket(len(row["input_ids"]))].append(i)
        for length in sorted(buckets):
            members, size = buckets[length], rows_of(length, device)
            for start in range(0, len(members), size):
                chosen = members[start : start + size]
                copies = [chosen[0]] * (size - len(chosen)) if filled else []
                yield chosen, self.pad([rows[i] for i in (*chosen, *copies)], device)

    def _bucket(self, length: int) -> int:
        return min(-(-length // BUCKET) * BUCKET, max(self.max_length, length))


def rows_of(length: int, device: torch.device) -> int:
    """Texts of a pass at this length: the fewest whose token rows are enough, and a multiple of `TILE`."""
    unit = TILE // math.gcd(TILE, length)
    return unit * -(-TOKENS.get(device.type, ACCELERATED) // (unit * length))
