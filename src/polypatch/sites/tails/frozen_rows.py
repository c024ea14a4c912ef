"""Rows ready for training behind a frozen tail: their queries, and what the layers behind them make of a change."""

from __future__ import annotations

import torch
from torch import Tensor

from polypatch.sites.rows import Queries
from polypatch.sites.site import FeedForwardSite
from polypatch.sites.tails.sequences import Sequences
from polypatch.sites.tails.tail import Change


class FrozenRows:
    """A few rows as queries, with the FFN output of everything edited so far already added up. `Trainable`."""

    def __init__(
        self,
        site: FeedForwardSite,
        queries: Queries,
        bank: Queries | None,
        views: int,
        change: Change,
        generator: torch.Generator,
    ) -> None:
        self.site = site
        self.queries, self.q = queries, queries.q
        self.out = change(self.q, site.ffn(self.q))
        self.views = 0 if bank is None else views
        if bank is not None:
            self.bank = bank  # [n · V, d]
            self.bank_out = change(bank.q, site.ffn(bank.q))
        self.generator = generator
        self.keep = 1.0 - float(getattr(site.layer.dropout, "p", 0.0))

    def forward(self, picks: Tensor, change: Change) -> tuple[Tensor, Tensor]:
        """One drawn view per pick; the dropout after the FFN is drawn afresh."""
        if not self.views:
            queries, out = self.queries.at(picks), self.out[picks]
            return queries.q, self.site.logits(queries, change(queries.q, out))
        drawn = picks * self.views + torch.randint(self.views, picks.shape, generator=self.generator).to(picks.device)
        queries, out = self.bank.at(drawn), self.bank_out.index_select(0, drawn)
        mask = torch.empty(out.shape, dtype=out.dtype).bernoulli_(self.keep, generator=self.generator).div_(self.keep)
        return queries.q, self.site.logits(queries, change(queries.q, out) * mask.to(out.device))

    def evaluate(self, change: Change) -> tuple[Tensor, Tensor]:
        """All rows without dropout."""
        return self.q, self.site.logits(self.queries, change(self.q, self.out))


class SequenceRows:
    """Rows of a lower layer, under everything edited so far. `Trainable`; without dropout views."""

    def __init__(self, sequences: Sequences, change: Change) -> None:
        self.sequences = sequences
        self.all = sequences.queries.q
        self.out = change(self.all, sequences.site.ffn(self.all))
        self.q = self.all[sequences.positions]

    def forward(self, picks: Tensor, change: Change) -> tuple[Tensor, Tensor]:
        """The layers above, over the texts that were picked."""
        return self.q[picks], self.sequences.logits(picks.tolist(), change, self.out)

    def evaluate(self, change: Change) -> tuple[Tensor, Tensor]:
        """All rows."""
        return self.q, self.sequences.logits(range(len(self.q)), change, self.out)
