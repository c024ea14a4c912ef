"""Patches as part of a stock checkpoint: a wider feed-forward layer, which needs nothing of polypatch to run.

The last layer's inner width grows by one per patch: its key is a new row of the first matrix, its bias a new entry,
its value a new column of the second. A configuration has one width for all layers, so every other layer gets as many
dead neurons: zero rows, zero columns. They change no number, and they are the price::

    parameters added = layers · n · (2d + 1)

At positions other than the one the head reads the last layer's output changes too; nothing comes after it.

Which entry of the configuration is the width, and what else grows with it, is found by trying: the model is built
without memory, with one entry changed, and its shapes are compared.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from polypatch.errors import InputError
from polypatch.sites.discovery.anatomy import Place
from polypatch.sites.site import FeedForwardSite


@dataclass(frozen=True)
class MergeCost:
    """What merging adds to a checkpoint.

    Attributes:
        patches: neurons that do something.
        parameters: numbers added, the dead neurons' included.
        total: numbers in the model as it is.
        megabytes: bytes added / 10⁶, in the model's own type.
    """

    patches: int
    parameters: int
    total: int
    megabytes: float

    def __str__(self) -> str:
        share = 100 * self.parameters / self.total
        return (
            f"{self.patches} patches add {self.parameters:,} parameters ({share:.2f} % of {self.total:,}), "
            f"{self.megabytes:.1f} MB: every layer is widened, all but the last by dead neurons"
        )


def merge_cost(site: FeedForwardSite, patches: int) -> MergeCost:
    """What `widened` would add.

    Raises:
        InputError: as for `widened`.
    """
    parameters = 0
    if patches:
        _, shapes = _wider(site, patches)
        now = {name: tensor.numel() for name, tensor in site.model.state_dict().items()}
        parameters = sum(shape.numel() - now[name] for name, shape in shapes.items())
    total = sum(parameter.numel() for parameter in site.model.parameters())
    return MergeCost(patches, parameters, total, parameters * site.dtype.itemsize / 1e6)


def takes_neurons(site: FeedForwardSite) -> bool:
    """Whether a neuron with a bias can be part of the last FFN of a stock checkpoint of this model."""
    try:
        _wider(site, 1)
    except InputError:
        return False
    return True


def mergeable(site: FeedForwardSite) -> bool:
    """Whether it is all the same if the layer changes at every position and call, and not at one."""
    return site.anatomy.place is not Place.SEVERAL and site.anatomy.calls == 1


def require_mergeable(site: FeedForwardSite) -> None:
    """Refuse to merge where it is not the same.

    Raises:
        InputError: it is not.
    """
    if not mergeable(site):
        shared = "its layers share their weights, and edits change the last alone"
        several = "its answer reads several positions, and edits add to all what they add to the first"
        raise InputError(
            f"{type(site.model).__name__}: {shared if site.anatomy.calls > 1 else several}; no stock checkpoint does. "
            "Save them beside the model (save_pretrained)"
        )


def widened(site: FeedForwardSite, keys: Tensor, biases: Tensor, values: Tensor) -> nn.Module:
    """A new model of the same class with the patches [n, d], [n], [n, d] inside; the site's own stays as it is.

    Raises:
        InputError: its feed-forward layer has no place for a neuron with a bias.
    """
    if not len(biases):
        return replaced(site, {})
    config, shapes = _wider(site, len(biases))
    up, down = site.anatomy.reader, site.anatomy.writer
    new = {f"{up}.weight": keys, f"{up}.bias": biases, f"{down}.weight": values}
    state = {
        name: _grown(tensor, shapes[name], new.get(name)) if name in shapes else tensor
        for name, tensor in site.model.state_dict().items()
    }
    return _built(site, config, state)


def replaced(site: FeedForwardSite, weights: Mapping[str, Tensor]) -> nn.Module:
    """A new model of the same class with these parameters in place of its own."""
    return _built(site, copy.deepcopy(site.model.config), {**site.model.state_dict(), **weights})


def _grown(tensor: Tensor, shape: torch.Size, new: Tensor | None) -> Tensor:
    """A tensor in a larger shape: with the new rows or columns, or with zeros, at its end."""
    grown = tensor.new_zeros(shape)
    grown[tuple(slice(size) for size in tensor.shape)] = tensor
    if new is not None:
        (dim,) = (i for i, (old, more) in enumerate(zip(tensor.shape, shape, strict=True)) if old != more)
        grown.narrow(dim, tensor.shape[dim], len(new)).copy_(new if dim == 0 else new.T)
    return grown


def _wider(site: FeedForwardSite, extra: int) -> tuple[Any, dict[str, torch.Size]]:
    """The configuration of a model with that many neurons more in the last layer, and the shapes that differ."""
    up, down = site.anatomy.reader, site.anatomy.writer
    matrices = list(site.matrices("ffn"))
    kind = type(site.model).__name__
    require_mergeable(site)
    if not site.layer.plain or getattr(site.layer.reader, "bias", None) is None:
        what = "gated or of experts" if not site.layer.plain else "without biases"
        raise InputError(
            f"{kind}: its feed-forward layer is {what}, and has no place for a neuron with a bias, so no stock "
            "checkpoint can hold patches; save them beside the model (save_pretrained)"
        )
    now = {name: tensor.shape for name, tensor in site.model.state_dict().items()}
    for config in _candidates(site, now[f"{down}.weight"].numel() // site.hidden_size, extra):
        shapes = {name: shape for name, shape in _shapes(site, config).items() if now.get(name) != shape}
        grown = {name: shape.numel() - now[name].numel() for name, shape in shapes.items() if name in now}
        wanted = {**dict.fromkeys(matrices, extra * site.hidden_size), f"{up}.bias": extra}
        if len(grown) == len(shapes) and all(grown.get(name) == more for name, more in wanted.items()):
            return config, shapes
    raise InputError(
        f"{kind}: no entry of its configuration is the width of its feed-forward layers alone, so no stock "
        "checkpoint can hold patches; save them beside the model (save_pretrained)"
    )


def _candidates(site: FeedForwardSite, width: int, extra: int) -> Iterator[Any]:
    """The configuration with one entry changed: one that is the width, or one left open that is named like it."""
    own: Any = site.model.config
    for name, value in own.to_dict().items():
        unstated = value is None and any(word in name for word in ("inner", "intermediate", "ffn"))
        if unstated or (type(value) is int and value == width):
            config = copy.deepcopy(own)
            setattr(config, name, width + extra)
            yield config


def _shapes(site: FeedForwardSite, config: Any) -> dict[str, torch.Size]:
    """Of every tensor of the model that a configuration describes; nothing where it describes none."""
    try:
        with torch.device("meta"):
            model = type(site.model)(config)
    except Exception:  # sizes that do not fit together, each model refuses in its own way
        return {}
    return {name: tensor.shape for name, tensor in model.state_dict().items()}


def _built(site: FeedForwardSite, config: object, state: Mapping[str, Tensor]) -> nn.Module:
    # Initialising draws numbers that are overwritten at once; the caller's random state must not see it.
    with torch.random.fork_rng(devices=[]):
        model: nn.Module = type(site.model)(config)
    if hasattr(site.model, "generation_config"):  # what ends an answer is in it
        model.generation_config = copy.deepcopy(site.model.generation_config)
    model.to(site.dtype).load_state_dict(state)
    return model.to(site.device).train(site.model.training)
