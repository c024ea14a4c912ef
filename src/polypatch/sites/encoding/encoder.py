"""Encoder: forward passes of the unedited model over rows, and the queries they show at the last FFN."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from transformers import PreTrainedTokenizerBase

from polypatch.sites.discovery.places import pad_of
from polypatch.sites.encoding.passes import Passes
from polypatch.sites.encoding.tokens import Tokens
from polypatch.sites.layers.enough import EnoughSeen
from polypatch.sites.layers.two_classes import two_classes
from polypatch.sites.network.model_kind import ModelKind, settled
from polypatch.sites.rows import Queries, Row
from polypatch.sites.site import ChangeFunction, FeedForwardSite

_RANDOM = threading.RLock()


class Encoder:
    """Runs rows through the whole model.

    Args:
        site: the last FFN, where queries are read.
        tokenizer: the model's tokenizer.
        max_length: longest input in tokens.
    """

    def __init__(
        self, site: FeedForwardSite, tokenizer: PreTrainedTokenizerBase, *, max_length: int | None = None
    ) -> None:
        self.site = site
        about = site.kind is ModelKind.SEQ2SEQ
        self.tokens = Tokens(tokenizer, max_length, positions_of(site.model), pad_of(site.model), about=about)
        self.settled = settled(site.model)

    @torch.no_grad()
    def queries(self, rows: Sequence[Row], progress: Callable[[int, int], None] | None = None) -> Queries:
        """Eval-mode queries [n, d] in the order of `rows`."""
        kept = torch.empty(len(rows), self.site.kept, dtype=self.site.dtype, device=self.site.device)
        passes, done = self._passes(rows), 0
        with self.site.evaluating():
            for chosen, batch in self.tokens.batches(passes.texts, self.site.device):
                numbers = passes.numbers(chosen)
                kept[numbers] = passes.read(chosen, self.site.packed(self._read(batch)), len(batch)).to(kept)
                done += len(numbers)
                if progress is not None:
                    progress(done, len(rows))
        return self.site.unpacked(kept)

    @torch.no_grad()
    def everywhere(self, row: Row) -> Queries:
        """The query of one row in every place of a pass that it fills alone: [places, d], all the same bits."""
        with self.site.evaluating():
            ((_, batch),) = self.tokens.batches([row], self.site.device)
            return self.read(batch)

    def texts_of(self, rows: Sequence[Row]) -> list[Row]:
        """One row of each pass that rows are read of."""
        return self._passes(rows).texts

    def _passes(self, rows: Sequence[Row]) -> Passes:
        return Passes(rows, every=self.site.anatomy.everywhere)

    @torch.no_grad()
    def full_logits(
        self,
        rows: Sequence[Row],
        change: ChangeFunction,
        overrides: Mapping[str, Tensor] | None = None,
        *,
        filled: bool = True,
    ) -> Tensor:
        """Eval-mode logits [n, width] of the whole model under `change`, with some parameters replaced by name."""
        parts = [torch.empty(0, self.site.width, dtype=self.site.dtype, device=self.site.device)]
        passes, order = self._passes(rows), list[int]()
        with self.site.evaluating():
            for chosen, batch in self.tokens.batches(passes.texts, self.site.device, filled=filled):
                parts.append(self._answered(passes, chosen, self._pass(batch, change, overrides)[1]))
                order += passes.numbers(chosen)
        return torch.cat(parts)[torch.tensor(order).argsort()]

    @torch.no_grad()
    def logits_of(self, model: nn.Module, rows: Sequence[Row]) -> Tensor:
        """Logits [n, width], on the CPU, of the forward passes of a model in the mode it is in, whatever it carries."""
        logits, passes = torch.empty(len(rows), self.site.width, dtype=self.site.dtype), self._passes(rows)
        for chosen, batch in self.tokens.batches(passes.texts, self.site.device, filled=False):
            found = two_classes(model(**self.tokens.pad(batch, self.site.device), **self.settled).logits)
            logits[passes.numbers(chosen)] = self._answered(passes, chosen, found).to(logits)
        return logits

    def _answered(self, passes: Passes, chosen: Sequence[int], logits: Tensor) -> Tensor:
        """The logits [rows, width] of the rows that are read of some passes, of those of a pass."""
        if logits.dim() == 3:
            return passes.read(chosen, logits.flatten(0, 1), len(logits))
        return logits[[j for j, number in enumerate(chosen) for _ in passes.members[number]]]

    @torch.no_grad()
    def views(self, rows: Sequence[Row], count: int, seed: int) -> Queries:
        """`count` train-mode queries per row: [n · count, d]. A pure function of (row, count, seed)."""
        bank: list[Queries] = []
        with self.site.lock.exclusive(), self.site.evaluating(), self.forked_rng():
            for row in rows:
                # A seed per row: the views do not depend on which others are trained on.
                torch.manual_seed((seed + int.from_bytes(row.key[:7], "little")) % 2**63)
                with self.dropping():
                    bank.append(self.read([row] * count))
        return joined(bank)

    @contextmanager
    def dropping(self, on: bool = True) -> Iterator[None]:
        """Inside the block the encoder, but not the head, is in train mode: dropout on in all layers, for all threads.

        **Deviates:** Hugging Face heads drop out the pooled vector too; the released Transformer-Patcher's head does
        not, and neither does this.
        """
        encoder = self.site.model.base_model
        with self.site.lock.exclusive() if on else nullcontext():
            try:
                encoder.train(on)  # type: ignore[union-attr]
                yield
            finally:
                encoder.eval()  # type: ignore[union-attr]

    def pass_through(
        self, rows: Sequence[Row], change: ChangeFunction | None = None, overrides: Mapping[str, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """One forward pass: the queries q [n, d] it showed and its logits [n, width], of each row in its own place."""
        q, logits = self._pass(rows, change, overrides)
        return self._at(rows, q), self._at(rows, logits.flatten(0, 1)) if logits.dim() == 3 else logits

    def _at(self, rows: Sequence[Row], shown: Tensor) -> Tensor:
        """[n · T, d] -> [n, d], the rows' places; as it is where a pass shows one position of each text."""
        if not self.site.anatomy.everywhere:
            return shown
        length = len(shown) // len(rows)
        return shown[torch.tensor([i * length + row.place for i, row in enumerate(rows)], device=shown.device)]

    def _pass(
        self, rows: Sequence[Row], change: ChangeFunction | None, overrides: Mapping[str, Tensor] | None
    ) -> tuple[Tensor, Tensor]:
        """One forward pass: the queries that it showed, of every position where it shows all, and its logits."""
        seen: list[Tensor] = []

        def look(q: Tensor, out: Tensor) -> Tensor:
            seen.append(q)
            return out if change is None else change(q, out)

        model, replaced = self.site.model, dict(overrides or {})
        batch = {**self.tokens.pad(rows, self.site.device), **self.settled}
        learning = torch.is_grad_enabled()
        # What is replaced stands, for the length of the pass, in the model that everybody sees.
        with self.site.applied(look, alone=learning or bool(replaced)):
            if learning:
                # What learns is the change alone: a graph through all weights would be kept for nothing.
                replaced = {name: nn.Parameter(w, False) for name, w in model.named_parameters()} | replaced
            logits = functional_call(model, replaced, kwargs=batch).logits if replaced else model(**batch).logits
        return seen[0], two_classes(logits)

    def read(self, rows: Sequence[Row]) -> Queries:
        """One forward pass of the unedited model, for what the site reads of it [n, d], of each row in its place."""
        shown = self._read(rows)
        rest = None if shown.rest is None else self._at(rows, shown.rest)
        return Queries(self._at(rows, shown.q), rest)

    def _read(self, rows: Sequence[Row]) -> Queries:
        """The same of every position that a pass shows: [n, d] or [n · T, d]."""
        with self.site.looking() as seen, contextlib.suppress(EnoughSeen):
            self.site.model(**self.tokens.pad(rows, self.site.device), **self.settled)
        return seen[-1]

    @contextmanager
    def forked_rng(self) -> Iterator[None]:
        """Leaves the caller's global random state as it was: dropout layers know no other generator.

        One thread at a time, of whatever model: the state is the process's.
        """
        with _RANDOM, torch.random.fork_rng(devices=self._devices()):
            yield

    def _devices(self) -> list[int]:
        return [self.site.device.index or 0] if self.site.device.type == "cuda" else []


def positions_of(model: nn.Module) -> int | None:
    """How many positions the model has, where a table or its configuration says so.

    RoBERTa's positions count from the padding's number on.
    """
    embeddings = getattr(getattr(model, "base_model", None), "embeddings", None)
    table: Any = getattr(embeddings, "position_embeddings", None)
    if isinstance(table, nn.Embedding):
        return table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1)
    config: Any = model.config
    stated = (getattr(config.get_text_config(), name, None) for name in _POSITIONS)
    return next((places for places in stated if isinstance(places, int) and places > 0), None)


_POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len")


def joined(parts: Sequence[Queries]) -> Queries:
    """Queries one after the other."""
    rest = [part.rest for part in parts if part.rest is not None]
    return Queries(torch.cat([part.q for part in parts]), torch.cat(rest) if rest else None)
