"""What a change goes by that reads texts: the tokens of every row of a pass, and how near texts are.

Of a classifier a row is a whole text. A causal language model answers at every position, and what stands before it is
the row's text.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

from polypatch.errors import InputError, UnsupportedModelError
from polypatch.sites.cached_tokens import CachedTokens
from polypatch.sites.discovery.anatomy import Anatomy
from polypatch.sites.discovery.places import Places
from polypatch.sites.last_alone import asked
from polypatch.sites.network.model_kind import ModelKind
from polypatch.sites.rows import Row
from polypatch.sites.sentence import Sentences

ShownRows = Sequence[Row | None]
"""Rows of a pass; None where padding stands, or nobody looks."""


class _Given(NamedTuple):
    """What a pass was given, with the tokens that a cache holds: `new` are its own. And what was shown before it."""

    ids: Tensor
    mask: Tensor
    segments: Tensor | None
    new: int
    before: ShownRows | _Given | None


class _Here(threading.local):
    """What one thread is asked about: rows, or a pass."""

    def __init__(self) -> None:
        self.shown: ShownRows | _Given | None = None

    def __reduce__(self) -> tuple[type[_Here], tuple[()]]:
        return _Here, ()


class TextBeside:
    """Knows it, as passes go by. Beside the query nothing is read.

    Args:
        model: the whole model.
        kind: what it is.
        anatomy: at which positions it is edited.
        places: those positions.
        sentences: the tokenizer, and the sentence encoder where there is one.

    Attributes:
        marks: tokens that are none of a text's words.

    Raises:
        UnsupportedModelError: it is neither a classifier nor a causal language model.
    """

    def __init__(
        self, model: nn.Module, kind: ModelKind, anatomy: Anatomy, places: Places, sentences: Sentences
    ) -> None:
        if kind not in (ModelKind.CLASSIFIER, ModelKind.CAUSAL):
            raise UnsupportedModelError(
                f"{type(model).__name__} is a {kind} model, and edits that are read before a text need a classifier or "
                "a causal language model: take another recipe, such as polypatch"
            )
        self.model, self.places, self.sentences = model, places, sentences
        self.tokenizer = sentences.tokenizer
        self.marks = frozenset(self.tokenizer.all_special_ids)
        self.causal = kind is ModelKind.CAUSAL
        self._base = _given_tokens(model, anatomy.stack)
        self._names = list(inspect.signature(type(self._base).forward).parameters)[1:]
        self._cached = CachedTokens()
        self._here = _Here()

    def more(self, d: int) -> int:
        """Nothing is read beside the query."""
        del d
        return 0

    @property
    def facts(self) -> dict[str, Any]:
        """The query depends on nothing else."""
        return {}

    def hooks(self) -> tuple[RemovableHandle, ...]:
        """Put the hooks on the model that are needed."""
        begin = self._base.register_forward_pre_hook(self.begin, with_kwargs=True)
        return begin, self._base.register_forward_hook(self.end, with_kwargs=True, always_call=True)

    def joined(self, query: Tensor | None, sequence: Tensor) -> Tensor | None:
        """The query alone."""
        del sequence
        return query

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # tokens are looked at in Python
    def begin(self, _: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Before the model: what it is given.

        Raises:
            InputError: no tokens, or a cache of tokens that were never shown.
            UnsupportedModelError: a mask that does not say which tokens are a text's own.
        """
        given = {**dict(zip(self._names, args, strict=False)), **kwargs}
        ids, name = given.get("input_ids"), type(self.model).__name__
        if ids is None:
            raise InputError(f"{name}: its edits go by the text: give input_ids, and not inputs_embeds")
        before = self._cached.before(given.get("past_key_values"))
        whole = ids if before is None else torch.cat([before.to(ids), ids], dim=1)
        mask = given.get("attention_mask")
        mask = torch.ones_like(whole) if mask is None else mask
        if mask.shape != whole.shape:
            raise UnsupportedModelError(
                f"{name}: the attention mask is {tuple(mask.shape)} where the tokens are {tuple(whole.shape)} in all, "
                "so that a text's own are not known: give a mask of one number for each token"
            )
        self._here.shown = _Given(whole, mask, given.get("token_type_ids"), ids.shape[1], self._here.shown)

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def end(self, _: nn.Module, __: object, kwargs: Mapping[str, Any], output: Any) -> None:
        """After the model: its cache holds these tokens; what it was shown is no other pass's."""
        shown, cache = self._here.shown, getattr(output, "past_key_values", None)
        if isinstance(shown, _Given):
            self._here.shown = shown.before
            self._cached.filled(kwargs.get("past_key_values") if cache is None else cache, shown.ids)

    @contextmanager
    def asking(self, rows: ShownRows | None) -> Iterator[None]:
        """Inside the block this thread's change is asked about these rows; None: about none yet."""
        before, self._here.shown = self._here.shown, rows
        try:
            yield
        finally:
            self._here.shown = before

    @contextmanager
    def elsewhere(self) -> Iterator[None]:
        """Inside the block this thread may run other passes: behind it, it is where it was."""
        with self.asking(None), self.places.elsewhere():
            yield

    def rows(self) -> ShownRows:
        """The rows that the change is asked about."""
        shown = self._here.shown
        if not isinstance(shown, _Given):
            assert shown is not None  # a change is asked in a pass, or about rows
            return shown
        ids, mask = shown.ids.tolist(), shown.mask.bool().tolist()
        segments = [()] * len(ids) if shown.segments is None else shown.segments.tolist()
        rows = self._positions if self.causal else self._text
        return [row for text in zip(ids, segments, mask, strict=True) for row in rows(*text, shown.new)]

    def _text(self, ids: list[int], segments: Sequence[int], own: list[bool], _: int) -> Iterator[Row]:
        tokens = tuple(one for one, kept in zip(ids, own, strict=True) if kept)
        context = tuple(one for one, kept in zip(segments, own, strict=False) if kept)
        yield Row(tokens, len(tokens) - 1 if self.places.last else 0, context)

    def _positions(self, ids: list[int], _: Sequence[int], own: list[bool], new: int) -> Iterator[Row | None]:
        some = asked(new)
        before = [one for one, kept in zip(ids[:-some], own[:-some], strict=True) if kept]
        yield from [None] * (new - some)
        for one, kept in zip(ids[-some:], own[-some:], strict=True):
            before += [one] * kept
            yield Row(tuple(before), len(before) - 1) if kept else None

    def seen(self, row: Row) -> tuple[int, ...]:
        """The tokens that a row's answer goes by."""
        return row.tokens[: row.place + 1] if self.causal else row.tokens

    def vectors(self, rows: Sequence[Row]) -> Tensor:
        """Where texts are [n, width]: the sentence encoder's vectors, or the means of their tokens' embeddings."""
        texts = [[one for one in self.seen(row) if one not in self.marks] for row in rows]
        table: Tensor = self.model.get_input_embeddings().weight.detach()  # type: ignore[operator]
        if self.sentences.width:
            longest = max(1, *map(len, texts))
            ids = torch.tensor([[*text, *[0] * (longest - len(text))] for text in texts], device=table.device)
            mask = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in texts], device=table.device)
            return self.sentences.of(ids, mask)
        # Never [n, T, K]: every position of a long prompt is a text of its own.
        tokens = torch.tensor([one for text in texts for one in text], dtype=torch.long, device=table.device)
        starts = torch.tensor(list(accumulate(map(len, texts), initial=0))[:-1], device=table.device)
        return functional.embedding_bag(tokens, table, starts, mode="mean")


def require_text(beside: object) -> TextBeside:
    """What is read beside the query, as a text.

    Raises:
        InputError: something else is.
    """
    if not isinstance(beside, TextBeside):
        raise InputError("these edits are texts that a model reads: make its site with reads='text'")
    return beside


def _given_tokens(model: nn.Module, stack: str) -> nn.Module:
    """The innermost module about the layers that is given tokens: shells of the model run it, too."""
    path = stack
    while path:
        path = path.rpartition(".")[0]
        module = model.get_submodule(path)
        if "input_ids" in inspect.signature(type(module).forward).parameters:
            return module
    return model
