"""The linear maps of a feed-forward layer: which there are, and what each is given and gives in a pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.func import functional_call
from transformers.pytorch_utils import Conv1D

from polypatch.errors import UnsupportedModelError
from polypatch.sites.discovery.trace import first_tensor
from polypatch.sites.layers.edited_layer import EditedLayer
from polypatch.sites.network.shell import apart


class LinearMap(NamedTuple):
    """One matrix W [out, given] of the layer.

    Attributes:
        name: the last part of its name in the model; ``up`` and ``down`` where there are two.
        weight: the full name of the parameter.
        out, given: numbers that it gives and is given.
        transposed: the model keeps it as [given, out].
    """

    name: str
    weight: str
    out: int
    given: int
    transposed: bool

    @property
    def path(self) -> str:
        """The module, from the model."""
        return self.weight.rpartition(".")[0]

    def as_kept(self, matrix: Tensor) -> Tensor:
        """A matrix [out, given] as the model keeps it."""
        return matrix.T if self.transposed else matrix


def linear_maps(layer: EditedLayer) -> dict[str, LinearMap]:
    """The maps of a layer by name, in the order that the model lists them.

    Raises:
        UnsupportedModelError: the layer is of experts, whose weights are no matrices.
    """
    found: dict[str, LinearMap] = {}
    for weight, parameter in layer.matrices("ffn").items():
        path, _, kind = weight.rpartition(".")
        name = ("up", "down")[len(found)] if layer.plain else path.rpartition(".")[2]
        if kind != "weight" or parameter.dim() != 2 or name in found:
            raise UnsupportedModelError(f"{weight}: no one matrix; low-rank updates are for layers without experts")
        transposed = isinstance(layer.model.get_submodule(path), Conv1D)
        given, out = parameter.shape if transposed else parameter.shape[::-1]
        found[name] = LinearMap(name, weight, out, given, transposed)
    return found


class LayerPass(NamedTuple):
    """What the maps of a layer were given and gave in a pass, by name.

    Attributes:
        out: the layer's output [n, d].
        given: to each map [n, given], without gradients.
        gave: each map [n, out]; `out` can be differentiated by it, where gradients are on.
    """

    out: Tensor
    given: dict[str, Tensor]
    gave: dict[str, Tensor]


def layer_pass(layer: EditedLayer, q: Tensor, weights: Mapping[str, Tensor] | None = None) -> LayerPass:
    """Run a feed-forward layer on queries, and look inside.

    Args:
        layer: the layer.
        q: [n, d].
        weights: other matrices, by their full names, as the model keeps them.

    Raises:
        UnsupportedModelError: as `linear_maps`.
    """
    seen = _Seen(layer, len(q), weights or {})
    if layer.plain:
        hidden = layer.activation(seen.through(layer.anatomy.reader, q))
        return LayerPass(seen.through(layer.anatomy.writer, hidden), seen.given, seen.gave)
    return LayerPass(seen.through(layer.anatomy.writer, q.unsqueeze(1)).squeeze(1), seen.given, seen.gave)


class _Seen:
    """Runs modules of a layer apart from the model, and writes down what passes through their maps."""

    def __init__(self, layer: EditedLayer, rows: int, weights: Mapping[str, Tensor]) -> None:
        self.layer, self.rows, self.weights = layer, rows, weights
        self.maps = linear_maps(layer).values()
        self.given: dict[str, Tensor] = {}
        self.gave: dict[str, Tensor] = {}

    def through(self, path: str, x: Tensor) -> Tensor:
        """The output of the module at `path`."""
        shell, prefix = apart(self.layer.model.get_submodule(path)), f"{path}."
        for one in self.maps:
            if f"{one.path}.".startswith(prefix):
                inner = one.path.removeprefix(path).removeprefix(".")
                shell.get_submodule(inner).register_forward_hook(self._looking_at(one.name))
        own = {name.removeprefix(prefix): tensor for name, tensor in self.weights.items() if name.startswith(prefix)}
        found = first_tensor(functional_call(shell, own, (x,)))
        assert found is not None
        return found

    def _looking_at(self, name: str) -> Callable[[nn.Module, tuple[Any, ...], Tensor], Tensor]:
        def hook(_: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
            if torch.is_grad_enabled() and not output.requires_grad:
                output = output.detach().requires_grad_()
            self.given[name] = inputs[0].detach().reshape(self.rows, inputs[0].shape[-1])
            self.gave[name] = output
            return output

        return hook


_LAST: WeakKeyDictionary[EditedLayer, LinearMap] = WeakKeyDictionary()
"""Found by a pass, and asked for at every edit."""


def last_map(layer: EditedLayer) -> LinearMap:
    """The map that writes the layer's output.

    Raises:
        UnsupportedModelError: as `linear_maps`; or no map gives what the layer gives.
    """
    if layer not in _LAST:
        _LAST[layer] = _found_last(layer)
    return _LAST[layer]


def _found_last(layer: EditedLayer) -> LinearMap:
    maps, weight = linear_maps(layer), next(iter(layer.matrices("ffn").values()))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        seen = layer_pass(layer, torch.randn(2, layer.hidden_size, generator=generator).to(weight))
    for name, gave in seen.gave.items():
        if torch.equal(gave.reshape(-1), seen.out.reshape(-1)):
            return maps[name]
    raise UnsupportedModelError(f"{layer.anatomy.layer}: none of {', '.join(maps)} writes the layer's output")
