"""Where an edit lives: the last feed-forward layer, at the one position the head reads.

::

        q ──┬──────────────► up ─► act ─► down ─► out = FFN₀(q) ──┐
            │                                                     ▼
            ├────────────────────────────────────────────► out' = Δ(q, out)      (Δ: the edits)
            │                                                     ▼
            └───────────────────────────────────────────►  h = LN(dropout(out') + q)  ─► head ─► logits

Only position 0 is changed: it is all the head reads, and nothing comes after this layer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle
from transformers.activations import ACT2FN

from polypatch.sites.hooks import Change as Change
from polypatch.sites.hooks import Hooks, nothing
from polypatch.sites.lock import SiteLock
from polypatch.sites.modes import evaluating
from polypatch.sites.rows import Queries
from polypatch.sites.supported import MARK, family_of, require_free, require_precision
from polypatch.sites.weights import Weights


class FeedForwardSite:
    """The last FFN of an encoder classifier, and the head that reads it.

    Raises:
        UnsupportedModelError: the architecture is not in `FAMILIES`, has no K-class head, chunks its FFN, or keeps its
            numbers in half precision; the message says what was looked for.
        InputError: the model carries edits already.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.family = family_of(model)
        require_free(model)
        require_precision(model)
        layers = model.get_submodule(self.family.layers)
        self.layer_path = f"{self.family.layers}.{len(layers) - 1}"  # type: ignore[arg-type]
        layer = model.get_submodule(self.layer_path)
        self.up = layer.get_submodule(self.family.up)
        self.down = layer.get_submodule(self.family.down)
        self.dropout = layer.get_submodule(self.family.dropout)
        self.norm = layer.get_submodule(self.family.norm)
        self.activation_name: str = getattr(model.config, self.family.activation)
        self.activation: Callable[[Tensor], Tensor] = ACT2FN[self.activation_name]
        self._attached: _Attached | None = None
        self._originals: dict[str, Tensor] = {}
        self._out = 0
        self.lock = SiteLock()
        self._hooks = Hooks(self.up, self.down)
        self._weights = Weights(model)

    @property
    def hidden_size(self) -> int:
        """The length d of q."""
        return int(self.up.in_features)  # type: ignore[arg-type]

    @property
    def device(self) -> torch.device:
        """Where the FFN's weights are."""
        return self.up.weight.device  # type: ignore[return-value]

    @property
    def dtype(self) -> torch.dtype:
        """What the FFN's weights are kept as: float32 or float64."""
        return self.up.weight.dtype  # type: ignore[return-value]

    @property
    def width(self) -> int:
        """How many ids the head tells apart: classes."""
        return len(self.model.config.id2label)  # type: ignore[union-attr, arg-type]

    def ffn(self, q: Tensor) -> Tensor:
        """FFN₀(q): the unedited layer (eq. 5-6). q: [n, d] -> [n, d]."""
        # Not through the modules: their hooks are for whole sequences.
        inner = self.activation(functional.linear(q, self.up.weight, self.up.bias))  # type: ignore[arg-type]
        return functional.linear(inner, self.down.weight, self.down.bias)  # type: ignore[arg-type]

    def logits(self, queries: Queries, out: Tensor) -> Tensor:
        """The head's logits for FFN output `out` [n, d] at queries q [n, d]: ``head(LN(out + q))`` [n, width].

        Without the head's dropout, also where the caller's model is in train mode.
        """
        with self.evaluating():
            return self.family.head(self.model, self.norm(out + queries.q))

    def matrices(self, scope: str) -> dict[str, nn.Parameter]:
        """The weight matrices of the last layer by full parameter name: ``"ffn"`` (two) or ``"layer"`` (six)."""
        paths: tuple[str, ...] = (self.family.up, self.family.down)
        if scope == "layer":
            paths = (*self.family.attention, *paths)
        return {
            f"{self.layer_path}.{path}.weight": self.model.get_parameter(f"{self.layer_path}.{path}.weight")
            for path in paths
        }

    def reading(self) -> AbstractContextManager[None]:
        """Inside the block no other thread changes what the edited, or shows another the unedited, model.

        Where parameters are replaced by name, a look at the unedited model has to put the originals back, and nobody
        else may look meanwhile.
        """
        return self.lock.exclusive() if self._replaces else self.lock.shared()

    @contextlib.contextmanager
    def applied(self, change: Change, *, alone: bool = False) -> Iterator[None]:
        """Inside the block this thread's forward passes apply `change` at position 0, and nothing that is attached.

        Other threads see nothing of it; with `alone` none of them reads or changes the model meanwhile.
        """
        with self.lock.exclusive() if alone else self.reading(), self._originals_back(), self._hooks.applying(change):
            yield

    @contextlib.contextmanager
    def bare(self) -> Iterator[None]:
        """Inside the block the model is, in this thread, the unedited one, whatever is attached."""
        held = self.lock.exclusive() if self._replaces else contextlib.nullcontext()
        with held, self._originals_back(), self._hooks.applying(nothing):
            yield

    def attach(self, change: Change, overrides: Mapping[str, Tensor]) -> None:
        """Apply `change`, and replace the parameters named in `overrides`, in every forward pass until `detach`.

        Raises:
            InputError: the model carries edits already.
        """
        with self.lock.exclusive():
            require_free(self.model)
            setattr(self.model, MARK, True)
            saving = self.model.register_state_dict_post_hook(_SaveOriginals(self))  # type: ignore[no-untyped-call]
            self._attached = _Attached(dict(overrides), saving)
            self._swap_in()
            self._hooks.attached = change
            self._hooks.hold()

    def detach(self) -> None:
        """Take off what `attach` put on; every parameter is the original again, bit for bit."""
        with self.lock.exclusive():
            if self._attached is not None:
                self._swap_out()
                self._hooks.release()
                self._hooks.attached = None
                self._attached.saving.remove()
                self._attached = None
                delattr(self.model, MARK)

    @property
    def _replaces(self) -> bool:
        return self._attached is not None and bool(self._attached.overrides)

    @contextlib.contextmanager
    def _originals_back(self) -> Iterator[None]:
        if not self._replaces:
            yield
            return
        if not self._out:
            self._swap_out()
        self._out += 1
        try:
            yield
        finally:
            self._out -= 1
            if not self._out:
                self._swap_in()

    def _swap_in(self) -> None:
        overrides = self._attached.overrides if self._attached else {}
        self._originals = {name: self.model.get_parameter(name).data for name in overrides}
        for name, tensor in overrides.items():
            parameter = self.model.get_parameter(name)
            parameter.data = tensor.data.to(parameter.data)

    def _swap_out(self) -> None:
        for name, tensor in self._originals.items():
            # Where the whole model was moved or converted in between, this one follows.
            parameter = self.model.get_parameter(name)
            parameter.data = tensor.to(parameter.data)
        self._originals = {}

    def require_type(self) -> None:
        """Refuse a model that was converted since this site was made; errors as for `require_same`. Costs nothing."""
        self._weights.require_type(self.model)

    def require_same(self, *, thorough: bool = False) -> None:
        """Refuse a model whose weights were changed since this site was made; see `polypatch.sites.weights`.

        Raises:
            UnsupportedModelError: its numbers are of another type.
            TailMismatchError: they are other numbers.
        """
        self._weights.require_same(self.model, self._originals, thorough=thorough)

    def evaluating(self) -> AbstractContextManager[None]:
        """Every module in eval mode, in all threads; the caller's modes come back when the last of them is done."""
        return evaluating(self.model)


class _Attached(NamedTuple):
    """What `attach` put on."""

    overrides: dict[str, Tensor]
    saving: RemovableHandle


class _SaveOriginals:
    """Puts the original parameters into every state dict: the model's own save_pretrained writes the unedited model.

    No method of the site: torch sets an attribute on it.
    """

    def __init__(self, site: FeedForwardSite) -> None:
        self.site = site

    def __call__(self, _: nn.Module, state: dict[str, Tensor], prefix: str, __: object) -> None:
        state.update({prefix + name: tensor.detach() for name, tensor in self.site._originals.items()})
