"""Rows of a lower layer, with all positions of their texts: the layers above read every one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate

import torch
from torch import Tensor, nn

from polypatch.sites.encoding.encoder import Encoder
from polypatch.sites.layers.above import Above
from polypatch.sites.rows import Queries, Row
from polypatch.sites.site import ChangeFunction


class Sequences:
    """Some rows and their texts.

    Args:
        encoder: pads texts into passes.
        upper: the layers above.
        rows: n of them.
        take: queries by row, from wherever they are kept.

    Attributes:
        queries: of every position of every text, one text after the other.
        positions: where among them each row stands [n].
    """

    def __init__(
        self, encoder: Encoder, upper: Above, rows: Sequence[Row], take: Callable[[Sequence[Row]], Queries]
    ) -> None:
        self.encoder, self.site, self.upper, self.rows = encoder, encoder.site, upper, rows
        found: dict[object, int] = {}
        self.of_row = [found.setdefault((row.tokens, row.context), len(found)) for row in rows]
        firsts = dict(zip(reversed(self.of_row), reversed(rows), strict=True))
        self.texts = [firsts[i] for i in range(len(found))]
        self.starts = list(accumulate((len(text.tokens) for text in self.texts), initial=0))
        self.queries = take([position for text in self.texts for position in positions_of(text)])
        starts = (self.starts[text] for text in self.of_row)
        places = [start + row.place for start, row in zip(starts, rows, strict=True)]
        self.positions = torch.tensor(places, dtype=torch.long, device=self.site.device)

    def logits(self, picks: Sequence[int], change: ChangeFunction, out: Tensor) -> Tensor:
        """Logits [m, width] of picked rows under `change`, on top of the layer's output `out` at every position."""
        wanted = {text: i for i, text in enumerate(dict.fromkeys(self.of_row[pick] for pick in picks))}
        batch = self.encoder.tokens.pad([self.texts[text] for text in wanted], self.site.device)
        length = batch[self.encoder.tokens.read_by_rows].shape[1]
        above = self.upper(batch, torch.stack([self._hidden(text, length, change, out) for text in wanted]))
        rows = [wanted[self.of_row[pick]] for pick in picks]
        return self.site.layer.head(above[rows, [self.rows[pick].place for pick in picks]])

    def _hidden(self, text: int, length: int, change: ChangeFunction, out: Tensor) -> Tensor:
        """The layer's output [length, d] under `change`, padded with zeros."""
        part = slice(self.starts[text], self.starts[text + 1])
        queries = self.queries.at(part)
        hidden = self.site.layer.hidden(queries, change(queries.q, out[part]))
        return nn.functional.pad(hidden, (0, 0, 0, length - len(hidden)))


@lru_cache(maxsize=2**16)
def positions_of(text: Row) -> tuple[Row, ...]:
    """A row for every position of a text."""
    return tuple(Row(text.tokens, place, text.context) for place in range(len(text.tokens)))
