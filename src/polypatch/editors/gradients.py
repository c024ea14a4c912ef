"""What a lesson's loss says about the maps of the feed-forward layer: k that each is given, g by what it gives.

The gradient by a matrix W [out, given] is ``Σ g kᵀ`` over positions: rank-one terms, whatever an editor makes of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional

from polypatch.deltas import FactorBank
from polypatch.editors.editor import Lesson
from polypatch.sites import UNCHANGED, Tail
from polypatch.sites.layers.edited_layer import EditedLayer
from polypatch.sites.layers.linear_maps import LayerPass, layer_pass


@dataclass(frozen=True, eq=False)
class Gradients:
    """At N positions, by the name of a map.

    Attributes:
        given: k, what the map is given [N, given].
        gave: g, the gradient of the loss by what it gives [N, out].
        queries: of the rows that were picked [n, D].
    """

    given: Mapping[str, Tensor]
    gave: Mapping[str, Tensor]
    queries: Tensor

    def scaled(self, share: float) -> Gradients:
        """Those of a loss that counts so much."""
        return Gradients(self.given, {name: share * g for name, g in self.gave.items()}, self.queries)


def gradients_of(delta: FactorBank, lesson: Lesson, picks: Sequence[int], tail: Tail) -> Gradients:
    """Those of ``L = mean over texts [ mean over tokens −log p ]`` over picked rows, as the model is with `delta`.

    Behind the last layer the positions are the rows; below it all positions of their texts, as far as L feels them.
    """
    rows = tail.rows([lesson.rows[i] for i in picks], UNCHANGED, views=0, generator=lesson.generator)
    targets = torch.tensor([lesson.wanted[i] for i in picks], device=rows.q.device)
    passes = InsideLayer(tail.site.layer, delta.weights())
    with tail.site.evaluating(), torch.enable_grad():
        logits = rows.evaluate(passes)[1]
        loss = lesson.shares(picks).to(logits) @ functional.cross_entropy(logits, targets, reduction="none")
        found = iter(torch.autograd.grad(loss, [gave for one in passes.seen for gave in one.gave.values()]))
    by_pass = [{name: next(found).flatten(0, -2) for name in one.gave} for one in passes.seen]
    gave = {name: torch.cat([one[name] for one in by_pass]) for name in by_pass[0]}
    given = {name: torch.cat([one.given[name] for one in passes.seen]) for name in gave}
    felt = torch.stack([g.any(1) for g in gave.values()]).any(0)
    return Gradients({name: k[felt] for name, k in given.items()}, {name: g[felt] for name, g in gave.items()}, rows.q)


class InsideLayer:
    """The layer with other matrices, and what passed through its maps. A `Change`."""

    overrides: Mapping[str, Tensor] = MappingProxyType({})

    def __init__(self, layer: EditedLayer, weights: Mapping[str, Tensor]) -> None:
        self.layer, self.weights = layer, weights
        self.seen: list[LayerPass] = []

    def __call__(self, q: Tensor, out: Tensor) -> Tensor:
        """FFN'(q)."""
        self.seen.append(layer_pass(self.layer, q[:, : self.layer.hidden_size], self.weights))
        return self.seen[-1].out.to(out.dtype)
