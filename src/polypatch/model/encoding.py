"""Encoding: how the model reads texts, and the tail that editing computes from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from torch import nn
from transformers import PreTrainedTokenizerBase

from polypatch.errors import InputError
from polypatch.settings import Settings, at_least
from polypatch.sites import FeedForwardSite, FrozenTail, FullForward
from polypatch.sites.discovery.discover import anatomy_of
from polypatch.sites.encoding.sentences import sentences_of
from polypatch.sites.network.checkpoint import require_tokenizer
from polypatch.sites.readouts.prompts import MOST
from polypatch.sites.readouts.readout import ReadoutSettings
from polypatch.sites.reads import Reads
from polypatch.sites.tails.best_tail import best_tail


@dataclass(frozen=True, kw_only=True)
class Encoding(Settings):
    """How the model reads texts.

    Attributes:
        exact: full forward passes instead of the frozen tail (slow).
        readout: what the model is asked, a name of `polypatch.sites.readouts.readout.READOUTS`; None for what its kind
            is.
        most: tokens of an answer of a language model, its end included.
        chat: wrap the prompts of a language model in its tokenizer's chat template, as what a user says.
        max_length: longest input in tokens; None for the tokenizer's or the model's.
        cache_dir: keep queries on disk.
        tail: a tail of the same model to share its query cache with; its other settings hold then.
    """

    exact: bool = False
    readout: str | None = None
    most: Annotated[int, at_least(2)] = MOST
    chat: bool = False
    max_length: Annotated[int, at_least(1)] | None = None
    cache_dir: str | Path | None = None
    tail: FrozenTail | FullForward | None = None

    def tail_of(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        *,
        exact: bool = False,
        layer: int | None = None,
        reads: Reads = "query",
    ) -> FrozenTail | FullForward:
        """The tail of a model, a new one or the one that was given; `exact` where the recipe needs full passes.

        `layer` and `reads` are a recipe's (`polypatch.Recipe`).

        Raises:
            InputError: the one that was given belongs to another model, or the tokenizer does.
            PolypatchError: see `FeedForwardSite` and `FrozenTail`.
        """
        if isinstance(model, str | Path):
            raise InputError(f"model is {str(model)!r}: load it, by polypatch.open, or polypatch.load_checkpoint")
        exact = exact or self.exact
        if self.tail is None:
            sentences = sentences_of(reads, tokenizer)
            site = FeedForwardSite(model, layer=layer, reads=reads, sentences=sentences)
            require_tokenizer(type(model).__name__, tokenizer, model)
            cache_dir = Path(self.cache_dir) if self.cache_dir else None
            length, readout = self.max_length, ReadoutSettings(self.readout, self.most, self.chat)
            full = partial(FullForward, site, tokenizer, max_length=length, readout=readout)
            if exact:
                return full()
            frozen = partial(FrozenTail, site, tokenizer, max_length=length, cache_dir=cache_dir, readout=readout)
            return best_tail(frozen, full)
        if self.tail.site.model is not model:
            raise InputError("the tail passed in belongs to another model object")
        if self.tail.site.layer_path != anatomy_of(model, layer).layer:
            raise InputError(f"the tail passed in is of {self.tail.site.layer_path}; the recipe edits another layer")
        if self.tail.site.reads != reads:
            raise InputError(f"the tail passed in reads {self.tail.site.reads!r}; the recipe {reads!r}")
        if exact and not isinstance(self.tail, FullForward):
            length, own = self.tail.encoder.tokens.max_length, self.tail.readout
            readout = ReadoutSettings(own.kind, **own.settings)
            return FullForward(self.tail.site, tokenizer, max_length=length, readout=readout)
        return self.tail
