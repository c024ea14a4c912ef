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
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle
from transformers.activations import ACT2FN

from polypatch.errors import InputError, UnknownLabelError, UnsupportedModelError
from polypatch.sites.families import FAMILIES, Family
from polypatch.sites.hooks import Change as Change
from polypatch.sites.hooks import Hooks, follow

_MARK = "_carries_polypatch_edits"


class FeedForwardSite:
    """The last FFN of an encoder classifier, and the head that reads it.

    Raises:
        UnsupportedModelError: the architecture is not in `FAMILIES`, has no K-class head, chunks its FFN, or keeps its
            numbers in half precision; the message says what was looked for.
        InputError: the model carries edits already.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.family = _family_of(model)
        _require_free(model)
        require_precision(model)
        layers = model.get_submodule(self.family.layers)
        self.layer_path = f"{self.family.layers}.{len(layers) - 1}"  # type: ignore[arg-type]
        layer = model.get_submodule(self.layer_path)
        self.up = layer.get_submodule(self.family.up)
        self.down = layer.get_submodule(self.family.down)
        self.dropout = layer.get_submodule(self.family.dropout)
        self.norm = layer.get_submodule(self.family.norm)
        encoder = set(model.base_model.modules())  # type: ignore[union-attr]
        self._head_dropouts = [m for m in model.modules() if isinstance(m, nn.Dropout) and m not in encoder]
        self.activation_name: str = getattr(model.config, self.family.activation)
        self.activation: Callable[[Tensor], Tensor] = ACT2FN[self.activation_name]
        self._attached: _Attached | None = None
        self._originals: dict[str, Tensor] = {}
        self._muted = 0

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

    @cached_property
    def labels(self) -> dict[int, str]:
        """Class index -> label, from the model's configuration."""
        return {int(i): str(name) for i, name in self.model.config.id2label.items()}  # type: ignore[union-attr, operator]

    @cached_property
    def classes(self) -> dict[str, int]:
        """Label -> class index."""
        return {name: i for i, name in self.labels.items()}

    def class_of(self, label: str) -> int:
        """The class index of a label.

        Raises:
            UnknownLabelError: the model has no such class.
        """
        if label not in self.classes:
            known = ", ".join(list(self.classes)[:8])
            more = "" if len(self.classes) <= 8 else f", … ({len(self.classes)} in all)"
            raise UnknownLabelError(f"the model has no class {label!r}; it has {known}{more}")
        return self.classes[label]

    def ffn(self, q: Tensor) -> Tensor:
        """FFN₀(q): the unedited layer (eq. 5-6). q: [n, d] -> [n, d]."""
        # Not through the modules: their hooks are for whole sequences.
        inner = self.activation(functional.linear(q, self.up.weight, self.up.bias))  # type: ignore[arg-type]
        return functional.linear(inner, self.down.weight, self.down.bias)  # type: ignore[arg-type]

    def logits(self, q: Tensor, out: Tensor) -> Tensor:
        """The head's logits for FFN output `out` at query `q`: ``head(LN(out + q))``. [n, d] x 2 -> [n, classes].

        Without the head's dropout, also where the caller's model is in train mode.
        """
        dropping = [dropout for dropout in self._head_dropouts if dropout.training]
        try:
            for dropout in dropping:
                dropout.training = False
            return self.family.head(self.model, self.norm(out + q))
        finally:
            for dropout in dropping:
                dropout.training = True

    def matrices(self, scope: str) -> dict[str, nn.Parameter]:
        """The weight matrices of the last layer by full parameter name: ``"ffn"`` (two) or ``"layer"`` (six)."""
        paths: tuple[str, ...] = (self.family.up, self.family.down)
        if scope == "layer":
            paths = (*self.family.attention, *paths)
        return {
            f"{self.layer_path}.{path}.weight": self.model.get_parameter(f"{self.layer_path}.{path}.weight")
            for path in paths
        }

    @contextlib.contextmanager
    def applied(self, change: Change) -> Iterator[None]:
        """Inside the block every forward pass applies `change` at position 0, and nothing that is attached."""
        with self.bare():
            hooks = Hooks(change, self.up, self.down)
            try:
                yield
            finally:
                hooks.remove()

    def attach(self, change: Change, overrides: Mapping[str, Tensor]) -> None:
        """Apply `change`, and replace the parameters named in `overrides`, in every forward pass until `detach`.

        Raises:
            InputError: the model carries edits already.
        """
        _require_free(self.model)
        setattr(self.model, _MARK, True)
        hooks = Hooks(self._edited, self.up, self.down)
        saving = self.model.register_state_dict_post_hook(_SaveOriginals(self))  # type: ignore[no-untyped-call]
        self._attached = _Attached(change, dict(overrides), hooks, saving)
        self._swap_in()

    def detach(self) -> None:
        """Take off what `attach` put on; every parameter is the original again, bit for bit."""
        if self._attached is not None:
            self._swap_out()
            self._attached.hooks.remove()
            self._attached.saving.remove()
            self._attached = None
            delattr(self.model, _MARK)

    @contextlib.contextmanager
    def bare(self) -> Iterator[None]:
        """Inside the block the model is the unedited one, whatever is attached."""
        if not self._muted:
            self._swap_out()
        self._muted += 1
        try:
            yield
        finally:
            self._muted -= 1
            if not self._muted:
                self._swap_in()

    def _edited(self, q: Tensor, out: Tensor) -> Tensor:
        if self._muted or self._attached is None:
            return out
        follow(self._attached.change, q.device)
        return self._attached.change(q, out)

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


class _Attached(NamedTuple):
    """What `attach` put on."""

    change: Change
    overrides: dict[str, Tensor]
    hooks: Hooks
    saving: RemovableHandle


class _SaveOriginals:
    """Puts the original parameters into every state dict: the model's own save_pretrained writes the unedited model.

    No method of the site: torch sets an attribute on it.
    """

    def __init__(self, site: FeedForwardSite) -> None:
        self.site = site

    def __call__(self, _: nn.Module, state: dict[str, Tensor], prefix: str, __: object) -> None:
        state.update({prefix + name: tensor.detach() for name, tensor in self.site._originals.items()})


PRECISIONS = (torch.float32, torch.float64)
"""What a model's numbers may be kept as: edits and queries are kept as the same."""


def require_precision(model: nn.Module) -> None:
    """Refuse a model in half precision, of which some answers hang on rounding.

    Raises:
        UnsupportedModelError: a parameter is neither float32 nor float64, or they differ.
    """
    kinds: dict[torch.dtype, str] = {}
    for name, parameter in model.named_parameters():
        kinds.setdefault(parameter.dtype, name)
    wrong = [dtype for dtype in kinds if dtype not in PRECISIONS] or list(kinds)[1:]
    if wrong:
        raise UnsupportedModelError(
            f"{type(model).__name__} has its parameter {kinds[wrong[0]]!r} in {wrong[0]}; edits need a model that is "
            'in float32 (or float64) throughout: load it with dtype="float32", or call model.float()'
        )


def _require_free(model: nn.Module) -> None:
    if getattr(model, _MARK, False):
        raise InputError("the model carries edits already; call unload() on its EditedModel first")


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
