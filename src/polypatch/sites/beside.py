"""What patches read of a text beside the query: what enters the layers below, and the edited one.

A classifier gives a whole text one answer. There it is means over the text's tokens: of what enters each of those
layers, and of what enters the feed-forward layer. A language model answers at every position, and with a key-value
cache it is shown new positions only. There it is what enters those layers at the position itself, where layers are
named.

No edit changes any of it: it is there before the edited feed-forward layer is.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from polypatch.errors import UnsupportedModelError
from polypatch.sites.discovery.anatomy import Anatomy
from polypatch.sites.discovery.places import Places
from polypatch.sites.reads import Reads, layers_read


class _Shown:
    """What a pass has shown.

    Attributes:
        mask: which tokens are a text's own [n, T].
        states: what is read of each layer's input, by the layer's place among those that are read.
    """

    def __init__(self) -> None:
        self.mask: Tensor | None = None
        self.states: dict[int, Tensor] = {}


class _Here(threading.local):
    """What one thread's pass has shown."""

    def __init__(self) -> None:
        self.shown = _Shown()

    def __reduce__(self) -> tuple[type[_Here], tuple[()]]:
        return _Here, ()


class Beside:
    """Reads it, as passes go by.

    Args:
        model: the whole model.
        anatomy: where it is edited, and at which positions.
        places: those positions.
        reads: which layers.

    Attributes:
        layers: their numbers, from 0.

    Raises:
        InputError: there is no such layer, or it is above the edited one.
    """

    def __init__(self, model: nn.Module, anatomy: Anatomy, places: Places, reads: Reads) -> None:
        self.model, self.places = model, places
        self.pooled = not anatomy.everywhere
        members = [f"{anatomy.stack}.{name}" for name, _ in model.get_submodule(anatomy.stack).named_children()]
        reads = "query" if reads == "means" and not self.pooled else reads
        self.layers = layers_read(reads, members.index(anatomy.layer), len(members))
        self._modules = [model.get_submodule(members[number]) for number in self.layers]
        self._names = list(inspect.signature(type(model).forward).parameters)[1:]
        self._here = _Here()
        self._traced = _Shown()

    def more(self, d: int) -> int:
        """How many numbers are read beside a query of d."""
        return d * (len(self.layers) + (self.pooled and bool(self.layers)))

    @property
    def facts(self) -> dict[str, Any]:
        """What it depends on beside the model; empty where the query alone is read."""
        return {"beside": self.layers} if self.layers else {}

    def hooks(self) -> tuple[RemovableHandle, ...]:
        """Put the hooks on the model that are needed: none where the query alone is read."""
        if not self.layers:
            return ()
        enter = [
            module.register_forward_pre_hook(_Entry(self, i), with_kwargs=True)
            for i, module in enumerate(self._modules)
        ]
        if not self.pooled:
            return tuple(enter)  # `generate` may be asked of another shell than the model
        begin = self.model.register_forward_pre_hook(self.begin, with_kwargs=True)
        return begin, self.model.register_forward_hook(self.end, always_call=True), *enter

    def begin(self, _: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Before the model: which tokens of a pass are a text's own."""
        given = {**dict(zip(self._names, args, strict=False)), **kwargs}
        mask = given.get("attention_mask")
        if mask is None:
            ids = given.get("input_ids")
            shown = given.get("inputs_embeds") if ids is None else ids
            mask = None if shown is None else torch.ones(shown.shape[:2], device=shown.device)
        here = self._now()
        here.mask, here.states = mask, {}

    def end(self, *_: Any) -> None:
        """After the model: what it was shown is no other pass's."""
        here = self._now()
        here.mask, here.states = None, {}

    def entered(self, number: int, given: object) -> None:
        """Before a layer: keep what is read of its input."""
        here = self._now()
        if isinstance(given, Tensor) and (here.mask is not None or not self.pooled):
            here.states[number] = self._of(given, here.mask)

    def joined(self, query: Tensor | None, sequence: Tensor) -> Tensor | None:
        """The query [n, d] and what else is read: [n, d + more]; None in a pass begun before the hooks came.

        Args:
            query: of `sequence`, at the places that are read.
            sequence: what enters the feed-forward layer.
        """
        here = self._now()
        if not self.layers or query is None:
            return query
        states, here.states = here.states, {}
        if len(states) < len(self.layers):
            return None
        own = [self._of(sequence, here.mask)] if self.pooled else []
        return torch.cat([query, *(states[i] for i in range(len(self.layers))), *own], dim=-1)

    def _of(self, sequence: Tensor, mask: Tensor | None) -> Tensor:
        if mask is None:
            found = self.places.of(sequence)
            assert found is not None  # every position is
            return found
        texts = sequence if sequence.dim() == 3 else sequence.reshape(len(mask), -1, sequence.shape[-1])
        if mask.shape != texts.shape[:2]:
            raise UnsupportedModelError(
                f"{type(self.model).__name__}: a layer is given {tuple(sequence.shape)} where the attention mask is "
                f"{tuple(mask.shape)}, so that no mean over a text's tokens can be read: edit with reads='query'"
            )
        weights = mask.to(texts.dtype).unsqueeze(-1)
        return (texts * weights).sum(1) / weights.sum(1).clamp(min=1)

    def _now(self) -> _Shown:
        # Code that is compiled cannot keep a tensor for one thread: it hands it on within its one pass.
        return self._traced if torch.compiler.is_compiling() else self._here.shown


class _Entry:
    """The hook of one layer; an object, so that a deep copy of the model has its own."""

    def __init__(self, beside: Beside, number: int) -> None:
        self.beside, self.number = beside, number

    def __call__(self, _: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self.beside.entered(self.number, args[0] if args else next(iter(kwargs.values())))
