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
from functools import cached_property

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from polypatch.errors import UnsupportedModelError
from polypatch.sites.families import FAMILIES, Family

Change = Callable[[Tensor, Tensor], Tensor]
"""Δ: (q [n, d], out = FFN(q) [n, d]) -> the changed out [n, d]."""

POSITION = 0
"""The position every supported head reads ([CLS] or <s>)."""


class FeedForwardSite:
    """The last FFN of an encoder classifier, and the head that reads it.

    Raises:
        UnsupportedModelError: the architecture is not in `FAMILIES`, has no K-class head, or chunks its FFN; the
            message says what was looked for.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.family = _family_of(model)
        layers = model.get_submodule(self.family.layers)
        self.layer_path = f"{self.family.layers}.{len(layers) - 1}"  # type: ignore[arg-type]
        layer = model.get_submodule(self.layer_path)
        self.up = layer.get_submodule(self.family.up)
        self.down = layer.get_submodule(self.family.down)
        self.dropout = layer.get_submodule(self.family.dropout)
        self.norm = layer.get_submodule(self.family.norm)
        self.activation_name: str = getattr(model.config, self.family.activation)
        self.activation: Callable[[Tensor], Tensor] = ACT2FN[self.activation_name]

    @property
    def hidden_size(self) -> int:
        """The length d of q."""
        return int(self.up.in_features)  # type: ignore[arg-type]

    @property
    def device(self) -> torch.device:
        """Where the FFN's weights are."""
        return self.up.weight.device  # type: ignore[return-value]

    @cached_property
    def labels(self) -> dict[int, str]:
        """Class index -> label, from the model's configuration."""
        return {int(i): str(name) for i, name in self.model.config.id2label.items()}  # type: ignore[union-attr, operator]

    @cached_property
    def classes(self) -> dict[str, int]:
        """Label -> class index."""
        return {name: i for i, name in self.labels.items()}

    def ffn(self, q: Tensor) -> Tensor:
        """FFN₀(q): the unedited layer (eq. 5-6). q: [n, d] -> [n, d]."""
        return self.down(self.activation(self.up(q)))  # type: ignore[no-any-return]

    def logits(self, q: Tensor, out: Tensor) -> Tensor:
        """The head's logits for FFN output `out` at query `q`: ``head(LN(out + q))``. [n, d] x 2 -> [n, classes]."""
        return self.family.head(self.model, self.norm(out + q))

    def matrices(self, scope: str) -> dict[str, nn.Parameter]:
        """The weight matrices of the last layer by full parameter name: ``"ffn"`` (two) or ``"layer"`` (six)."""
        paths: tuple[str, ...] = (self.family.up, self.family.down)
        if scope == "layer":
            paths = (*self.family.attention, *paths)
        return {
            f"{self.layer_path}.{path}.weight": self.model.get_parameter(f"{self.layer_path}.{path}.weight")
            for path in paths
        }

    def attach(self, change: Change) -> Callable[[], None]:
        """Apply `change` at position 0 in every forward pass of the model; returns the function that detaches it."""
        captured: list[Tensor] = []

        def keep_query(_: nn.Module, args: tuple[Tensor, ...]) -> None:
            captured[:] = [args[0][:, POSITION]]

        def apply(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> Tensor:
            changed = change(captured.pop(), output[:, POSITION])
            # A fresh tensor: writing in place would change a value autograd still needs.
            return torch.cat([changed.unsqueeze(1).to(output.dtype), output[:, POSITION + 1 :]], dim=1)

        handles = (self.up.register_forward_pre_hook(keep_query), self.down.register_forward_hook(apply))

        def detach() -> None:
            for handle in handles:
                handle.remove()

        return detach

    @contextlib.contextmanager
    def applied(self, change: Change) -> Iterator[None]:
        """`attach` for the length of a ``with`` block."""
        detach = self.attach(change)
        try:
            yield
        finally:
            detach()

    @contextlib.contextmanager
    def swapped(self, overrides: Mapping[str, Tensor]) -> Iterator[None]:
        """Use other tensors for some parameters inside a ``with`` block; the originals come back bit for bit."""
        originals = {name: self.model.get_parameter(name).data for name in overrides}
        try:
            for name, tensor in overrides.items():
                self.model.get_parameter(name).data = tensor
            yield
        finally:
            for name, tensor in originals.items():
                self.model.get_parameter(name).data = tensor

    @contextlib.contextmanager
    def evaluating(self) -> Iterator[None]:
        """Every module in eval mode and no parameter asking for gradients; the caller's settings come back after."""
        modes = [(module, module.training) for module in self.model.modules()]
        wanted = [(parameter, parameter.requires_grad) for parameter in self.model.parameters()]
        try:
            self.model.eval().requires_grad_(False)
            yield
        finally:
            for module, mode in modes:
                module.training = mode
            for parameter, flag in wanted:
                parameter.requires_grad_(flag)


def _family_of(model: nn.Module) -> Family:
    config = getattr(model, "config", None)
    model_type = getattr(config, "model_type", None)
    if model_type not in FAMILIES:
        raise UnsupportedModelError(
            f"{type(model).__name__} (model_type {model_type!r}) has no entry in the table of families; "
            f"looked for one of {', '.join(sorted(FAMILIES))}. Add a row to sites/families.py."
        )
    family = FAMILIES[model_type]
    if not isinstance(model, family.architecture):
        raise UnsupportedModelError(
            f"{type(model).__name__} has no classification head polypatch can read; looked for "
            f"{family.architecture.__name__}. Load the checkpoint with AutoModelForSequenceClassification."
        )
    if model.config.num_labels < 2:  # type: ignore[union-attr, operator]
        raise UnsupportedModelError(
            f"{type(model).__name__} has num_labels={model.config.num_labels}; a classifier of at least two "  # type: ignore[union-attr]
            "classes is needed (a head with one logit is a regression head)."
        )
    if getattr(model.config, "chunk_size_feed_forward", 0):
        raise UnsupportedModelError("config.chunk_size_feed_forward must be 0: the patch is applied to whole sequences")
    return family
