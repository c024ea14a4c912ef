"""FrozenTail: logits from the FFN input, which no patch can change, and the cache of that input.

The patch sits in the last FFN and the head reads one position, so q at that position is the same before and after any
number of edits. It is computed once per text; every step of every editor starts from it (DESIGN, section 5)::

    h = LN(dropout(FFN₀(q) + Σᵢ act(q·kᵢ + bᵢ) vᵢ) + q)        logits = head(h)

**Deviates:** the released Transformer-Patcher encodes the sentence again at every step with dropout on in all layers.
With `views` = V the tail keeps V such train-mode queries per text and draws from them; the dropout after the FFN is
drawn afresh at every step, as there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from polypatch.cautions import caution
from polypatch.edits import Text
from polypatch.errors import InputError, TailMismatchError, UnsupportedModelError
from polypatch.sites.encoding.encoder import Encoder
from polypatch.sites.encoding.fingerprint import encoder_fingerprint
from polypatch.sites.encoding.guests import Guests
from polypatch.sites.encoding.query_cache import QueryCache
from polypatch.sites.layers.above import Above, above
from polypatch.sites.readouts.readout import Readout, ReadoutSettings, readout_of
from polypatch.sites.rows import Queries, Row
from polypatch.sites.site import ChangeFunction, FeedForwardSite
from polypatch.sites.tails.frozen_rows import FrozenRows, SequenceRows
from polypatch.sites.tails.sequences import Sequences
from polypatch.sites.tails.tail import UNCHANGED, Answering, Asked, Change, Trainable
from polypatch.sites.tails.unedited import Unedited

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-11}
"""Largest difference of logits, in units of the largest logit, that still counts as agreement."""

PROBES: tuple[Text, ...] = ("A short probe.", "Une deuxième phrase, un peu plus longue que la première.", "第三")

UNSTEADY = (
    "on this processor the last bits of a query depend on its place in a pass, so a resumed run may differ from an "
    "uninterrupted one by rounding; please report the processor (MKL_CBWR=AVX2,STRICT may help)"
)

GUESTS = 4096
"""Rows that were only asked about whose queries stay in memory: 12 MB where d = 768."""

CHUNK = 2048
"""Rows per shard while encoding: so many are in memory, and so many a kill loses (minutes of a large model)."""

Progress = Callable[[int, int], None]
"""Called as (rows done, rows in all)."""


class FrozenTail(Answering):
    """The model behind the FFN input, from cached queries.

    Args:
        site: the last FFN.
        tokenizer: the model's tokenizer.
        max_length: longest input in tokens (the tokenizer's limit by default).
        cache_dir: keep queries on disk too, below a folder named after the encoder's fingerprint.
        half: keep queries in half precision, in a folder of their own; `rounding` says what that costs.
        progress: told how many rows are encoded.
        guests: of so many rows that were only asked about (`asked`) the queries stay in memory. With fewer than 2,048,
            long lists are encoded twice: for the unedited and for the edited answer.
        check: compare the tail with the model on a probe batch, patched and unpatched; and warn where a query's last
            bits depend on its place in a pass, which they do on no processor we know.
        readout: what the model is asked, and how; or its name in `polypatch.sites.readouts.readout.READOUTS`.

    Raises:
        TailMismatchError: model and tail disagree on the probe batch.
        UnsupportedModelError: a change that reaches outside the FFN was passed to it.
    """

    def __init__(
        self,
        site: FeedForwardSite,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_length: int | None = None,
        cache_dir: Path | None = None,
        half: bool = False,
        progress: Progress | None = None,
        guests: int = GUESTS,
        check: bool = True,
        readout: str | ReadoutSettings | None = None,
    ) -> None:
        self.site = site
        self.encoder = Encoder(site, tokenizer, max_length=max_length)
        self.readout: Readout = readout_of(readout, site, self.encoder.tokens)
        self.progress = progress
        self.guests = Guests(guests)
        directory = cache_dir / (self.fingerprint + ("-half" if half else "")) if cache_dir else None
        dtype = torch.float16 if half else site.dtype
        self.cache = QueryCache(site.kept, site.device, directory, dtype=dtype, taken_as=site.dtype)
        self.upper: Above | None = None
        self.why = site.layer.why
        if site.anatomy.top is not None and not self.why:
            try:
                self.upper = above(site.model, site.anatomy)
            except UnsupportedModelError as error:
                self.why = str(error)
        self.unedited = Unedited() if self.upper is None and self.readout.answers is None else None
        if check:
            self.check()

    @cached_property
    def fingerprint(self) -> str:
        """Names the encoder: weights, configuration, tokenizer, length limit, and how texts are encoded."""
        return encoder_fingerprint(self.site, self.encoder.tokens)

    def check(self, texts: Sequence[Text] = PROBES) -> float:
        """Compare model and tail on `texts`, unpatched and under a random change; returns the largest difference.

        Warns where a query has other bits in other rows of a pass: `Tokens` stands on its having the same.

        Raises:
            TailMismatchError: the difference exceeds `TOLERANCE` relative to the largest logit, or the answer is no
                function of what the site reads.
        """
        if self.why:
            raise TailMismatchError(f"{self.why}. Edit with exact=True (slow, full forward passes) instead.")
        rows = [row for kept in self.readout.keep(texts) for row in kept]
        generator = torch.Generator().manual_seed(0)
        probe = torch.randn(self.site.read_size, generator=generator).to(self.site.device, self.site.dtype)

        def nudge(q: Tensor, out: Tensor) -> Tensor:
            return out + (q @ probe / len(probe)).unsqueeze(-1) * probe[: self.site.hidden_size]

        worst = 0.0
        with torch.no_grad():
            passes = [self.encoder.everywhere(row) for row in self.encoder.texts_of(rows)]
            if not all(bool((queries.q == queries.q[0]).all()) for queries in passes):
                caution(UNSTEADY)
            for change in (UNCHANGED, nudge):
                tail = self._behind(rows, change, self.encoder.queries)
                full = self.encoder.full_logits(rows, change, filled=False)
                gap = float((tail - full).abs().max())
                # Not `gap <= limit` turned round: a NaN must fail as well.
                if not gap <= TOLERANCE[full.dtype] * max(1.0, float(full.abs().max())):
                    raise TailMismatchError(
                        f"{type(self.site.model).__name__}: logits from the frozen tail differ from the model's by "
                        f"{gap:.2g} on a probe batch. Edit with exact=True (slow, full forward passes) instead."
                    )
                worst = max(worst, gap)
        return worst

    def shards(self, rows: Sequence[Row]) -> list[list[Row]]:
        """The rows that the cache lacks, each once, in the portions that are encoded and written as one."""
        missing = self.cache.missing([row.origin for row in rows])
        return [missing[start : start + CHUNK] for start in range(0, len(missing), CHUNK)]

    def encode(self, rows: Sequence[Row]) -> int:
        """Bring rows into the cache; returns how many were not there. Each finished shard survives a kill.

        Raises:
            InputError: half precision cannot hold a query.
        """
        shards, progress, before = self.shards(rows), self.progress, 0
        total = sum(map(len, shards))
        for shard in shards:

            def tell(done: int, _: int, before: int = before) -> None:
                if progress is not None:
                    progress(before + done, total)

            self.cache.add(shard, self.site.packed(self.encoder.queries(shard, tell)))
            before += len(shard)
        return total

    @property
    def asked(self) -> Asked:
        """The same for rows that are asked about and perhaps never again: no more than the latest `guests` are kept.

        What is in the cache is taken from it; `encode` puts rows there that will be wanted again.
        """
        return _Asked(self)

    def queries(self, rows: Sequence[Row], *, keep: bool = True) -> Queries:
        """Eval-mode queries [n, d]; encodes what is not in the cache yet, and puts it there unless `keep` is False.

        Raises:
            InputError: a row that is mapped, and no maps were learned (`maps`).
        """
        if any(row.via for row in rows):
            return self._mapped(rows, keep)
        if keep:
            self.encode(rows)
        guests = set() if keep else set(self.cache.missing(rows))
        if not guests:
            return self.site.unpacked(self.cache.take(rows))
        queries = torch.empty(len(rows), self.site.kept, dtype=self.site.dtype, device=self.site.device)
        here = torch.tensor([row in guests for row in rows], device=self.site.device)

        def encode(some: Sequence[Row]) -> Tensor:
            return self.site.packed(self.encoder.queries(some, self.progress))

        queries[here] = self.guests.queries([row for row in rows if row in guests], encode)
        queries[~here] = self.cache.take([row for row in rows if row not in guests])
        return self.site.unpacked(queries)

    def _mapped(self, rows: Sequence[Row], keep: bool) -> Queries:
        if self.maps is None:
            raise InputError(
                "queries mapped to other languages need parallel text: pass memory=MemoryTexts(…, parallel=…)"
            )
        kept = self.site.packed(self.queries([row.origin for row in rows], keep=keep))
        places = [i for i, row in enumerate(rows) if row.via]
        kept[places] = self.maps.queries([rows[i].via for i in places], kept[places])
        return self.site.unpacked(kept)

    @torch.no_grad()
    def logits(self, rows: Sequence[Row], change: Change, *, keep: bool = True) -> Tensor:
        """Eval-mode logits [n, width] under `change`; `keep` as for `queries`."""
        _within_ffn(change)
        if keep and len(rows) > 2048:
            self.encode(rows)  # in long passes, and not slice by slice
        # In slices: the FFN's inner activation is four times as wide as q, and q itself need not be there at once.
        take = partial(self.queries, keep=keep)
        with self.site.reading():
            parts = [self._behind(rows[i : i + 2048], change, take) for i in range(0, len(rows), 2048)]
        if len(parts) == 1:
            return parts[0]  # a vocabulary's are large: no copy
        none = torch.empty(0, self.readout.width, dtype=self.site.dtype, device=self.site.device)
        return torch.cat([none, *parts])

    def _behind(self, rows: Sequence[Row], change: ChangeFunction, take: Callable[[Sequence[Row]], Queries]) -> Tensor:
        """Logits [n, width] of rows under `change`, from the queries that `take` gives."""
        if self.upper is not None:
            some = Sequences(self.encoder, self.upper, rows, take)
            return some.logits(range(len(rows)), change, self.site.ffn(some.queries.q))
        queries = take(rows)
        with self.site.asking(rows):
            out = change(queries.q, self.site.ffn(queries.q))
        return self.site.logits(queries, out)

    @torch.no_grad()
    def rounding(self, texts: Sequence[Text] = PROBES) -> float:
        """Largest difference of unpatched logits that the cache's precision makes on `texts`, which are encoded anew.

        0 in full precision; the same of the queries, over everything in the cache, is in `cache.summary()`.
        """
        rows = [row for kept in self.readout.keep(texts) for row in kept]
        exact, rounded = (self._behind(rows, UNCHANGED, take) for take in (self.encoder.queries, self.queries))
        return float((exact - rounded).abs().max()) if rows else 0.0

    @torch.no_grad()
    def rows(self, rows: Sequence[Row], change: Change, *, views: int, generator: torch.Generator) -> Trainable:
        """Rows ready for training; their `views` train-mode queries are encoded here, once.

        Raises:
            InputError: dropout views of mapped queries, or of a lower layer.
        """
        _within_ffn(change)
        bank = None
        if self.upper is not None:
            if views:
                raise InputError("a lower layer is trained without dropout views: edit with views=0")
            return SequenceRows(Sequences(self.encoder, self.upper, rows, self.queries), change)
        if views and any(row.via for row in rows):
            raise InputError("queries mapped to other languages have no dropout views: edit with views=0")
        if views:
            seed = int(torch.randint(2**62, (), generator=generator))
            bank = self.encoder.views(rows, views, seed)
        with self.site.asking(rows):
            return FrozenRows(self.site, self.queries(rows), bank, views, change, generator)


class _Asked(Answering):
    """A tail that keeps no row. `Asked`."""

    def __init__(self, tail: FrozenTail) -> None:
        self.tail, self.site, self.readout, self.unedited = tail, tail.site, tail.readout, tail.unedited

    def queries(self, rows: Sequence[Row]) -> Queries:
        """Queries."""
        return self.tail.queries(rows, keep=False)

    def logits(self, rows: Sequence[Row], change: Change) -> Tensor:
        """Logits."""
        return self.tail.logits(rows, change, keep=False)


def _within_ffn(change: Change) -> None:
    if change.overrides:
        raise UnsupportedModelError(
            f"{type(change).__name__} replaces {', '.join(change.overrides)}: not a function of the FFN input, so the "
            "frozen tail cannot see it. Edit with exact=True (full forward passes)."
        )
