"""FactReader: what a model answers where a fact stands before a text, as an output of its feed-forward layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from polypatch.sites.encoding.encoder import Encoder
from polypatch.sites.encoding.guests import Guests
from polypatch.sites.rows import Row
from polypatch.sites.site import FeedForwardSite

REMEMBERED = 4096
"""Rows whose places, and whose answers behind a fact, stay in memory."""


class FactReader:
    """Reads facts before texts.

    Args:
        site: of the model, whose layer is the last and writes into the residual as it is.
    """

    def __init__(self, site: FeedForwardSite) -> None:
        self.site, self.text = site, site.text
        self.encoder = Encoder(site, site.text.tokenizer)
        self._places, self._read = Guests(REMEMBERED), Guests(REMEMBERED)

    def place(self, rows: Sequence[Row], centre: Tensor) -> Tensor:
        """Where texts are, seen from the centre [K]: [n, K], of unit length."""
        if not rows:
            return centre.new_empty(0, len(centre))
        with self.text.elsewhere():
            found = self._places.queries(rows, self.text.vectors)
        return functional.normalize(found.to(centre) - centre, dim=1)

    def behind(self, row: Row, facts: Sequence[tuple[int, ...]]) -> Row:
        """A row with facts, as tokens, between its opening marks and its text; the last ones where not all have room.

        Where not even the last has, or the row is one of the marks, it is the row itself.
        """
        opening = next((i for i, one in enumerate(row.tokens) if one not in self.text.marks), len(row.tokens))
        if self.text.causal and row.place < opening:
            return row
        # By what stands before the answer alone: the model that writes it does not know yet how long it will be.
        seen, longest = self.text.seen(row), self.encoder.tokens.max_length
        read, room = tuple[int, ...](), longest - len(seen)
        for fact in reversed(facts):
            if len(read) + len(fact) > room:
                break
            read = (*fact, *read)
        text = row.tokens if len(row.tokens) + len(read) <= longest else seen
        tokens = (*text[:opening], *read, *text[opening:])
        context = (*row.context[:opening], *row.context[:1] * len(read), *row.context[opening:])
        return Row(tokens, row.place + len(read) * (row.place >= opening), context) if read else row

    def outputs(self, rows: Sequence[Row], behind: Sequence[Row]) -> Tensor:
        """What the feed-forward layer has to give for rows to be answered as those behind their facts are: [n, d].

        ``FFN(q') + (r' − r) ÷ s``, q' and r' being those behind the fact: then r + s·out is the same there and here.
        """
        before, site = dict(zip(behind, rows, strict=True)), self.site

        def encode(some: Sequence[Row]) -> Tensor:
            with self.text.elsewhere():
                both = self.encoder.queries([*(before[one] for one in some), *some])
            here, there = site.packed(both).chunk(2)
            return torch.cat([here, there], dim=1)

        # What is remembered are queries, the same in any company; what a map gives of them is not, to the bit.
        here, there = (site.unpacked(part) for part in self._read.queries(behind, encode).chunk(2, dim=1))
        rest, other = (one.q if one.rest is None else one.rest for one in (here, there))
        return site.ffn(there.q) + (other - rest) / site.anatomy.scale
