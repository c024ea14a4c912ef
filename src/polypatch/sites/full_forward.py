"""FullForward: the slow exact path. Every number comes from a forward pass of the whole model.

Needed where a change reaches outside the FFN (six-matrix fine-tuning) or where the frozen tail fails its check; and the
yardstick that tests and the benchmark hold the frozen tail against.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from polypatch.edits import Mapped, Text
from polypatch.errors import UnsupportedModelError
from polypatch.sites.encoder import Encoder
from polypatch.sites.feed_forward import FeedForwardSite
from polypatch.sites.tail import Asked, Change


class FullForward:
    """The whole model as a tail. Arguments as for `FrozenTail`."""

    def __init__(
        self,
        site: FeedForwardSite,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_length: int | None = None,
    ) -> None:
        self.site = site
        self.encoder = Encoder(site, tokenizer, max_length=max_length)

    @property
    def asked(self) -> Asked:
        """The tail itself: it keeps nothing."""
        return self

    def encode(self, texts: Sequence[Text]) -> int:
        """Nothing: no query is kept."""
        del texts
        return 0

    def queries(self, texts: Sequence[Text]) -> Tensor:
        """Eval-mode queries [n, d] of the unedited model, encoded anew at every call.

        Raises:
            UnsupportedModelError: a mapped text, of which there is only a query.
        """
        if any(isinstance(text, Mapped) for text in texts):
            raise UnsupportedModelError("mapped queries have no text to run the whole model on: leave out exact=True")
        return self.encoder.queries(texts)

    def inputs(self, texts: Sequence[Text]) -> list[bytes]:
        """What the model reads of each text; see `Tokens.names`."""
        return self.encoder.tokens.names(texts)

    @torch.no_grad()
    def logits(self, texts: Sequence[Text], change: Change) -> Tensor:
        """Eval-mode logits [n, classes] under `change`."""
        with self.site.lock.exclusive() if change.overrides else self.site.reading():
            return self.encoder.full_logits(texts, change, change.overrides)

    def rows(self, texts: Sequence[Text], change: Change, *, views: int, generator: torch.Generator) -> FullRows:
        """Texts ready for training. Views are drawn afresh at every step; `views` only says whether they are wanted."""
        return FullRows(self.encoder, texts, change, views > 0, generator)


class FullRows:
    """A few tokenised texts; each forward runs the whole model."""

    def __init__(
        self, encoder: Encoder, texts: Sequence[Text], change: Change, views: bool, generator: torch.Generator
    ) -> None:
        self.encoder = encoder
        self.rows = encoder.tokens.ids(texts)
        self.change = change
        self.views = views
        self.generator = generator
        self.q = encoder.queries(texts)

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

    def _run(self, rows: Sequence[dict[str, list[int]]], change: Change, *, dropping: bool) -> tuple[Tensor, Tensor]:
        site = self.encoder.site

        def both(q: Tensor, out: Tensor) -> Tensor:
            return change(q, self.change(q, out))

        with site.evaluating(), self.encoder.dropping(dropping):
            overrides = {**self.change.overrides, **change.overrides}
            return self.encoder.pass_through(self.encoder.tokens.pad(rows, site.device), both, overrides)
