"""FullForward: the slow exact path. Every number comes from a forward pass of the whole model.

Needed where a change reaches outside the FFN (six-matrix fine-tuning) or where the frozen tail fails its check; and the
yardstick that tests and the benchmark hold the frozen tail against.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from polypatch.errors import UnsupportedModelError
from polypatch.sites.encoding.encoder import Encoder
from polypatch.sites.encoding.query_cache import QueryCache
from polypatch.sites.readouts.readout import Readout, ReadoutSettings, readout_of
from polypatch.sites.rows import Queries, Row
from polypatch.sites.site import FeedForwardSite
from polypatch.sites.tails.tail import Answering, Asked, Change


class FullForward(Answering):
    """The whole model as a tail. Arguments as for `FrozenTail`."""

    def __init__(
        self,
        site: FeedForwardSite,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_length: int | None = None,
        readout: str | ReadoutSettings | None = None,
    ) -> None:
        self.site = site
        self.cache = QueryCache(site.kept, site.device, dtype=site.dtype)  # and stays empty
        self.encoder = Encoder(site, tokenizer, max_length=max_length)
        self.readout: Readout = readout_of(readout, site, self.encoder.tokens)

    @property
    def asked(self) -> Asked:
        """The tail itself: it keeps nothing."""
        return self

    def encode(self, rows: Sequence[Row]) -> int:
        """Nothing: no query is kept."""
        del rows
        return 0

    def queries(self, rows: Sequence[Row]) -> Queries:
        """Eval-mode queries [n, d] of the unedited model, encoded anew at every call.

        Raises:
            UnsupportedModelError: a mapped row, of which there is only a query.
        """
        if any(row.via for row in rows):
            raise UnsupportedModelError("mapped queries have no text to run the whole model on: leave out exact=True")
        return self.encoder.queries(rows)

    @torch.no_grad()
    def logits(self, rows: Sequence[Row], change: Change) -> Tensor:
        """Eval-mode logits [n, width] under `change`."""
        with self.site.lock.exclusive() if change.overrides else self.site.reading():
            return self.encoder.full_logits(rows, change, change.overrides)

    def rows(self, rows: Sequence[Row], change: Change, *, views: int, generator: torch.Generator) -> FullRows:
        """Rows ready for training. Views are drawn afresh at every step; `views` only says whether they are wanted."""
        return FullRows(self.encoder, rows, change, views > 0, generator)


class FullRows:
    """A few rows; each forward runs the whole model. `Trainable`."""

    def __init__(
        self, encoder: Encoder, rows: Sequence[Row], change: Change, views: bool, generator: torch.Generator
    ) -> None:
        self.encoder = encoder
        self.rows = rows
        self.change = change
        self.views = views
        self.generator = generator
        self.q = encoder.queries(rows).q

    def forward(self, picks: Tensor, change: Change) -> tuple[Tensor, Tensor]:
        """One pass over the picked rows, with dropout in every layer where views are on."""
        rows = [self.rows[i] for i in picks.tolist()]
        with self.encoder.site.lock.exclusive(), self.encoder.forked_rng():
            if self.views:
                torch.manual_seed(int(torch.randint(2**62, (), generator=self.generator)))
            return self._run(rows, change, dropping=self.views)

    def evaluate(self, change: Change) -> tuple[Tensor, Tensor]:
        """All rows without dropout."""
        return self._run(self.rows, change, dropping=False)

    def _run(self, rows: Sequence[Row], change: Change, *, dropping: bool) -> tuple[Tensor, Tensor]:
        def both(q: Tensor, out: Tensor) -> Tensor:
            return change(q, self.change(q, out))

        with self.encoder.site.evaluating(), self.encoder.dropping(dropping):
            q, logits = self.encoder.pass_through(rows, both, {**self.change.overrides, **change.overrides})
        return q, logits
