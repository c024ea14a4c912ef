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
from polypatch.edits import Mapped, Text
from polypatch.errors import InputError, TailMismatchError, UnsupportedModelError
from polypatch.sites.encoder import Encoder
from polypatch.sites.feed_forward import FeedForwardSite
from polypatch.sites.fingerprint import encoder_fingerprint
from polypatch.sites.guests import Guests
from polypatch.sites.maps import Maps
from polypatch.sites.query_cache import QueryCache
from polypatch.sites.tail import UNCHANGED, Asked, Change

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-11}
"""Largest difference of logits, in units of the largest logit, that still counts as agreement."""

PROBES: tuple[Text, ...] = ("A short probe.", "Une deuxième phrase, un peu plus longue que la première.", "第三")

UNSTEADY = (
    "on this processor the last bits of a query depend on its place in a pass, so a resumed run may differ from an "
    "uninterrupted one by rounding; please report the processor (MKL_CBWR=AVX2,STRICT may help)"
)

GUESTS = 4096
"""Texts that were only asked about whose queries stay in memory: 12 MB where d = 768."""

CHUNK = 2048
"""Texts per shard while encoding: so many are in memory, and so many a kill loses (minutes of a large model)."""

Progress = Callable[[int, int], None]
"""Called as (texts done, texts in all)."""


class FrozenTail:
    """The model behind the FFN input, from cached queries.

    Args:
        site: the last FFN.
        tokenizer: the model's tokenizer.
        max_length: longest input in tokens (the tokenizer's limit by default).
        cache_dir: keep queries on disk too, below a folder named after the encoder's fingerprint.
        half: keep queries in half precision, in a folder of their own; `rounding` says what that costs.
        progress: told how many texts are encoded.
        guests: of so many texts that were only asked about (`asked`) the queries stay in memory. With fewer than 2,048,
            long lists are encoded twice: for the unedited and for the edited answer.
        check: compare the tail with the model on a probe batch, patched and unpatched; and warn where a query's last
            bits depend on its place in a pass, which they do on no processor we know.

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
    ) -> None:
        self.site = site
        self.encoder = Encoder(site, tokenizer, max_length=max_length)
        self.progress = progress
        self.maps: Maps | None = None
        self.guests = Guests(guests)
        directory = cache_dir / (self.fingerprint + ("-half" if half else "")) if cache_dir else None
        dtype = torch.float16 if half else site.dtype
        self.cache = QueryCache(site.hidden_size, site.device, directory, dtype=dtype, taken_as=site.dtype)
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
            TailMismatchError: the difference exceeds `TOLERANCE` relative to the largest logit.
        """
        generator = torch.Generator().manual_seed(0)
        probe = torch.randn(self.site.hidden_size, generator=generator).to(self.site.device, self.site.dtype)

        def nudge(q: Tensor, out: Tensor) -> Tensor:
            return out + (q @ probe / len(probe)).unsqueeze(-1) * probe

        worst = 0.0
        with torch.no_grad():
            passes = [self.encoder.everywhere(text) for text in texts]
            if not all(bool((rows == rows[0]).all()) for rows in passes):
                caution(UNSTEADY)
            q = torch.stack([rows[0] for rows in passes])
            for change in (UNCHANGED, nudge):
                tail = self.site.logits(q, change(q, self.site.ffn(q)))
                full = self.encoder.full_logits(texts, change, filled=False)
                gap = float((tail - full).abs().max())
                # Not `gap <= limit` turned round: a NaN must fail as well.
                if not gap <= TOLERANCE[full.dtype] * max(1.0, float(full.abs().max())):
                    raise TailMismatchError(
                        f"{type(self.site.model).__name__}: logits from the frozen tail differ from the model's by "
                        f"{gap:.2g} on a probe batch. Edit with exact=True (slow, full forward passes) instead."
                    )
                worst = max(worst, gap)
        return worst

    def encode(self, texts: Sequence[Text]) -> int:
        """Bring texts into the cache; returns how many were not there. Each finished chunk survives a kill.

        Raises:
            InputError: half precision cannot hold a query.
        """
        missing, progress = self.cache.missing(texts), self.progress
        for start in range(0, len(missing), CHUNK):

            def tell(done: int, _: int, start: int = start) -> None:
                if progress is not None:
                    progress(start + done, len(missing))

            chunk = missing[start : start + CHUNK]
            self.cache.add(chunk, self.encoder.queries(chunk, tell))
        return len(missing)

    @property
    def asked(self) -> Asked:
        """The same for texts that are asked about and perhaps never again: no more than the latest `guests` are kept.

        What is in the cache is taken from it; `encode` puts texts there that will be wanted again.
        """
        return _Asked(self)

    def queries(self, texts: Sequence[Text], *, keep: bool = True) -> Tensor:
        """Eval-mode queries [n, d]; encodes what is not in the cache yet, and puts it there unless `keep` is False.

        Raises:
            InputError: a text that is mapped, and no maps were learned (`maps`).
        """
        mapped = [(i, text) for i, text in enumerate(texts) if isinstance(text, Mapped)]
        if mapped:
            return self._with_mapped(texts, mapped, keep)
        if keep:
            self.encode(texts)
        guests = set() if keep else set(self.cache.missing(texts))
        if not guests:
            return self.cache.take(texts)
        queries = torch.empty(len(texts), self.site.hidden_size, dtype=self.site.dtype, device=self.site.device)
        here = torch.tensor([text in guests for text in texts], device=self.site.device)
        encode = partial(self.encoder.queries, progress=self.progress)
        queries[here] = self.guests.queries([text for text in texts if text in guests], encode)
        queries[~here] = self.cache.take([text for text in texts if text not in guests])
        return queries

    def inputs(self, texts: Sequence[Text]) -> list[bytes]:
        """What the model reads of each text; see `Tokens.names`."""
        return self.encoder.tokens.names(texts)

    def _with_mapped(self, texts: Sequence[Text], mapped: Sequence[tuple[int, Mapped]], keep: bool) -> Tensor:
        if self.maps is None:
            raise InputError(
                "queries mapped to other languages need parallel text: pass memory=MemoryTexts(…, parallel=…)"
            )
        queries = self.queries([text.origin if isinstance(text, Mapped) else text for text in texts], keep=keep)
        places = [i for i, _ in mapped]
        queries[places] = self.maps.queries([text for _, text in mapped], queries[places])
        return queries

    @torch.no_grad()
    def logits(self, texts: Sequence[Text], change: Change, *, keep: bool = True) -> Tensor:
        """Eval-mode logits [n, classes] under `change`; `keep` as for `queries`."""
        _within_ffn(change)
        if keep:
            self.encode([text for text in texts if not isinstance(text, Mapped)])
        parts = []
        # In slices: the FFN's inner activation is four times as wide as q, and q itself need not be there at once.
        with self.site.reading():
            for start in range(0, len(texts), 2048):
                q = self.queries(texts[start : start + 2048], keep=keep)
                parts.append(self.site.logits(q, change(q, self.site.ffn(q))))
        return (
            torch.cat(parts)
            if parts
            else torch.empty(0, len(self.site.labels), dtype=self.site.dtype, device=self.site.device)
        )

    @torch.no_grad()
    def rounding(self, texts: Sequence[Text] = PROBES) -> float:
        """Largest difference of unpatched logits that the cache's precision makes on `texts`, which are encoded anew.

        0 in full precision; the same of the queries, over everything in the cache, is in `cache.summary()`.
        """
        q, kept = self.encoder.queries(texts), self.queries(texts)
        exact, rounded = (self.site.logits(rows, self.site.ffn(rows)) for rows in (q, kept))
        return float((exact - rounded).abs().max()) if len(texts) else 0.0

    @torch.no_grad()
    def rows(self, texts: Sequence[Text], change: Change, *, views: int, generator: torch.Generator) -> FrozenRows:
        """Texts ready for training; their `views` train-mode queries are encoded here, once."""
        _within_ffn(change)
        bank = None
        if views and any(isinstance(text, Mapped) for text in texts):
            raise InputError("queries mapped to other languages have no dropout views: edit with views=0")
        if views:
            seed = int(torch.randint(2**62, (), generator=generator))
            bank = self.encoder.views(texts, views, seed)
        return FrozenRows(self.site, self.queries(texts), bank, change, generator)


class _Asked:
    """A tail that keeps no text. `Asked`."""

    def __init__(self, tail: FrozenTail) -> None:
        self.tail = tail

    def queries(self, texts: Sequence[Text]) -> Tensor:
        """Queries."""
        return self.tail.queries(texts, keep=False)

    def logits(self, texts: Sequence[Text], change: Change) -> Tensor:
        """Logits."""
        return self.tail.logits(texts, change, keep=False)


class FrozenRows:
    """A few texts as queries, with the FFN output of everything edited so far already added up."""

    def __init__(
        self, site: FeedForwardSite, q: Tensor, bank: Tensor | None, change: Change, generator: torch.Generator
    ) -> None:
        self.site = site
        self.q = q
        self.out = change(q, site.ffn(q))
        self.views = 0 if bank is None else bank.shape[1]
        if bank is not None:
            self.bank = bank.flatten(0, 1)  # [n · V, d]
            self.bank_out = change(self.bank, site.ffn(self.bank))
        self.generator = generator
        self.keep = 1.0 - float(getattr(site.dropout, "p", 0.0))

    def forward(self, picks: Tensor, change: Change) -> tuple[Tensor, Tensor]:
        """One drawn view per pick; the dropout after the FFN is drawn afresh."""
        if not self.views:
            q, out = self.q[picks], self.out[picks]
            return q, self.site.logits(q, change(q, out))
        drawn = picks * self.views + torch.randint(self.views, picks.shape, generator=self.generator).to(picks.device)
        q, out = self.bank.index_select(0, drawn), self.bank_out.index_select(0, drawn)
        mask = torch.empty(out.shape, dtype=out.dtype).bernoulli_(self.keep, generator=self.generator).div_(self.keep)
        return q, self.site.logits(q, change(q, out) * mask.to(out.device))

    def evaluate(self, change: Change) -> tuple[Tensor, Tensor]:
        """All rows without dropout."""
        return self.q, self.site.logits(self.q, change(self.q, self.out))


def _within_ffn(change: Change) -> None:
    if change.overrides:
        raise UnsupportedModelError(
            f"{type(change).__name__} replaces {', '.join(change.overrides)}: not a function of the FFN input, so the "
            "frozen tail cannot see it. Edit with exact=True (full forward passes)."
        )
