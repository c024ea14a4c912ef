"""Patches as part of a stock checkpoint: a wider feed-forward layer, which needs nothing of polypatch to run.

The last layer's inner width grows by one per patch: its key is a new row of the first matrix, its bias a new entry,
its value a new column of the second. A configuration has one width for all layers, so every other layer gets as many
dead neurons: zero rows, zero columns. They change no number, and they are the price::

    parameters added = layers · n · (2d + 1)

At positions other than the one the head reads the last layer's output changes too; nothing comes after it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from polypatch.sites.feed_forward import FeedForwardSite


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
    """What `widened` would add."""
    layers = len(site.model.get_submodule(site.family.layers))  # type: ignore[arg-type]
    parameters = layers * patches * (2 * site.hidden_size + 1)
    total = sum(parameter.numel() for parameter in site.model.parameters())
    return MergeCost(patches, parameters, total, parameters * site.up.weight.element_size() / 1e6)  # type: ignore[operator]


def widened(site: FeedForwardSite, keys: Tensor, biases: Tensor, values: Tensor) -> nn.Module:
    """A new model of the same class with the patches [n, d], [n], [n, d] inside; the site's own stays as it is."""
    extra, family = len(biases), site.family
    layers = site.model.get_submodule(family.layers)
    last = len(layers) - 1  # type: ignore[arg-type]
    state = dict(site.model.state_dict())
    nothing = torch.zeros_like(keys), torch.zeros_like(biases), torch.zeros_like(values)
    for i in range(last + 1):
        key, bias, value = (keys, biases, values) if i == last else nothing
        up, down = (f"{family.layers}.{i}.{path}" for path in (family.up, family.down))
        for name, more, dim in ((f"{up}.weight", key, 0), (f"{up}.bias", bias, 0), (f"{down}.weight", value.T, 1)):
            state[name] = torch.cat([state[name], more.to(state[name])], dim=dim)
    config = copy.deepcopy(site.model.config)
    setattr(config, family.width, getattr(config, family.width) + extra)
    return _built(site, config, state)


def replaced(site: FeedForwardSite, weights: Mapping[str, Tensor]) -> nn.Module:
    """A new model of the same class with these parameters in place of its own."""
    return _built(site, copy.deepcopy(site.model.config), {**site.model.state_dict(), **weights})


def _built(site: FeedForwardSite, config: object, state: Mapping[str, Tensor]) -> nn.Module:
    # Initialising draws numbers that are overwritten at once; the caller's random state must not see it.
    with torch.random.fork_rng(devices=[]):
        model: nn.Module = site.family.architecture(config)
    model.to(site.up.weight.dtype).load_state_dict(state)  # type: ignore[arg-type]
    return model.to(site.device).train(site.model.training)
