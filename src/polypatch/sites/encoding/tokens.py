"""From texts to rows, and from rows to passes in canonical shapes: a query has the same bits whoever is beside it.

Two things must not depend on the neighbours. The length: a text is padded to the next multiple of `BUCKET`, never to
the longest of its batch. And the kernel: a matrix product goes through its rows tile by tile, and what is left over
for a last, partial tile is computed by other code, which rounds otherwise; which rows those are depends on how many
there are. So a pass over texts of one length always has the same number of rows, and times the length that is a
multiple of `TILE`, in which no kernel has rows left over. A pass with fewer texts is filled up with copies.
"""

from __future__ import annotations

import math
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from polypatch.edits import Text
from polypatch.errors import InputError
from polypatch.sites.rows import Row

BUCKET = 8

TILE = 48
"""A multiple of the rows that a kernel takes at once: 4, 6, 8, 12, 16, 24 or 48, by processor and type of number."""

TOKENS = {"cpu": 192}
"""Least token rows of a pass. More makes one text dearer, fewer makes many dearer: `benchmarks/encoding.py`."""

ACCELERATED = 6144
"""The same on any other device, where a small pass takes as long as a large one."""

TOKENIZING = threading.Lock()
"""A fast tokenizer keeps the last call's truncation and padding: two calls at once would mix them up."""

KEPT = 2**17
"""Of so many texts the rows are remembered; then the memory is cleared."""


class Tokens:
    """Cuts texts and pairs into rows the way the model was trained, and pads rows into passes.

    Args:
        tokenizer: a Hugging Face tokenizer; padding is always on the right, where no head reads.
        max_length: longest input in tokens; the tokenizer's own limit by default, or the model's where that is less.
        places: positions the model has; None where that is not known, and 512 are taken for it.
        padding: the number that the model knows padding by; the tokenizer's by default.
        about: a row's context is the text that its tokens are written about, and not their segments.

    Raises:
        InputError: a longer input than the model has positions for.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int | None = None,
        places: int | None = None,
        padding: int | None = None,
        *,
        about: bool = False,
    ) -> None:
        if max_length is not None and not 1 <= max_length <= (places or max_length):
            most = "at least 1" if places is None else f"from 1 to {places}, the model's positions"
            raise InputError(f"max_length should be {most}, is {max_length}")
        stated = tokenizer.model_max_length
        # Tokenizers that know no limit state a huge integer.
        self.max_length = max_length or min(stated if stated < 100_000 else places or 512, places or stated)
        self.padded = places or self.max_length
        self.tokenizer, self.about = tokenizer, about
        self.padding = int((tokenizer.pad_token_id if padding is None else padding) or 0)
        self._rows: dict[Text, Row] = {}

    @property
    def read_by_rows(self) -> str:
        """What a pass calls the tokens that rows are read of."""
        return "decoder_input_ids" if self.about else "input_ids"

    def rows(self, texts: Sequence[Text], *, last: bool = False) -> list[Row]:
        """The row that is read of each text: at its first token, or its last; cut to the longest input, not padded."""
        known = self._rows  # another thread may begin a new one meanwhile
        fresh = [text for text in dict.fromkeys(texts) if text not in known]
        if len(known) + len(fresh) > KEPT:
            self._rows = known = {}
            fresh = list(dict.fromkeys(texts))
        for kind in (str, tuple):
            some = [text for text in fresh if isinstance(text, kind)]
            known.update(zip(some, self._cut(some, last), strict=True))
        return [known[text] for text in texts]

    def is_cut(self, text: Text) -> bool:
        """Whether a text has more tokens than the longest input, so that the first ones alone are read."""
        parts = text if isinstance(text, tuple) else (text,)
        with TOKENIZING:
            return len(self.tokenizer(*parts, truncation=False, verbose=False)["input_ids"]) > self.max_length

    def _cut(self, texts: Sequence[Text], last: bool) -> list[Row]:
        """Rows of texts that are all texts, or all pairs."""
        if not texts:
            return []
        columns = (
            [list(column) for column in zip(*texts, strict=True)] if isinstance(texts[0], tuple) else [list(texts)]
        )
        with TOKENIZING:
            encoded = self.tokenizer(*columns, truncation=True, max_length=self.max_length, padding=False)
        segments = encoded["token_type_ids"] if "token_type_ids" in encoded else [()] * len(texts)
        pairs = zip(encoded["input_ids"], segments, strict=True)
        return [Row(tuple(ids), self._last(ids) if last else 0, tuple(segment)) for ids, segment in pairs]

    def _last(self, ids: Sequence[int]) -> int:
        """The last token; one that is also the padding is none, to a head that looks for it."""
        return next((i for i in range(len(ids) - 1, -1, -1) if ids[i] != self.padding), 0)

    def pad(self, rows: Sequence[Row], device: torch.device) -> dict[str, Tensor]:
        """One batch, padded on the right to the bucket of its longest row."""
        batch = self._padded([row.tokens for row in rows])
        if self.about:
            batch = {f"decoder_{name}": numbers for name, numbers in batch.items()}
            batch |= self._padded([row.context for row in rows])
        elif rows[0].context:
            length = len(batch["input_ids"][0])
            segments = [[*row.context, *[0] * (length - len(row.context))] for row in rows]
            batch = {"input_ids": batch["input_ids"], "token_type_ids": segments, **batch}
        return {name: torch.tensor(numbers).to(device) for name, numbers in batch.items()}

    def _padded(self, texts: Sequence[Sequence[int]]) -> dict[str, list[list[int]]]:
        length = self._bucket(max(map(len, texts)))
        return {
            "input_ids": [[*tokens, *[self.padding] * (length - len(tokens))] for tokens in texts],
            "attention_mask": [[1] * len(tokens) + [0] * (length - len(tokens)) for tokens in texts],
        }

    def batches(
        self, rows: Sequence[Row], device: torch.device, *, filled: bool = True
    ) -> Iterator[tuple[list[int], list[Row]]]:
        """(indices into `rows`, the rows of one pass) pairs, shortest first, every pass of the shape its length has.

        Args:
            rows: what is read.
            device: where the pass will be.
            filled: fill the last pass of a length up with copies of its first row; its first rows are `rows`'.
                Without, it is smaller, and the last bits of what comes of it may be others.
        """
        buckets: dict[tuple[int, int], list[int]] = defaultdict(list)
        for i, row in enumerate(rows):
            context = self._bucket(len(row.context)) if self.about else bool(row.context)
            buckets[self._bucket(len(row.tokens)), context].append(i)
        for length, context in sorted(buckets):
            members, size = buckets[length, context], rows_of(max(length, context) if self.about else length, device)
            for start in range(0, len(members), size):
                chosen = members[start : start + size]
                copies = [chosen[0]] * (size - len(chosen)) if filled else []
                yield chosen, [rows[i] for i in (*chosen, *copies)]

    def _bucket(self, length: int) -> int:
        """What a text is padded to: a multiple of `BUCKET`, but for a model whose positions end before that.

        Also where `max_length` is none: threads share attention out by text, and at odd lengths the second one's lie
        so in memory that a kernel may round otherwise.
        """
        return min(-(-length // BUCKET) * BUCKET, max(self.padded, length))


def rows_of(length: int, device: torch.device) -> int:
    """Texts of a pass at this length: the fewest whose token rows are enough, and a multiple of `TILE`."""
    unit = TILE // math.gcd(TILE, length)
    return unit * -(-TOKENS.get(device.type, ACCELERATED) // (unit * length))
