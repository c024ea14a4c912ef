"""What the maps of the layer are given, and the gradient by what they give: what an edit would change, map by map.

For a map ``W`` and the loss L of an edit, ``∂L/∂W = Σᵢ gᵢ hᵢᵀ``: one term for each position, h being what the map is
given there, g the gradient by what it gives.
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
from polypatch.sites.layers.linear_maps import LayerPass, layer_pass


@dataclass(frozen=True, eq=False)
class Gradients:
    """By map, at the N positions whose output the loss hangs on; the same ones in every map.

    Attributes:
        given: h [N, given].
        gave: g [N, out], the gradient of the loss.
    """

    given: Mapping[str, Tensor]
    gave: Mapping[str, Tensor]


def gradients_of(delta: FactorBank, lesson: Lesson, picks: Sequence[int], tail: Tail) -> Gradients:
    """Gradients of an edit's loss under everything edited so far.

        L = mean over texts [ mean over the tokens of an answer −log p ]

    Behind the last layer the positions are those that answers are read from; below it they are all that these look at.

    Args:
        delta: what was edited so far; only its maps are looked at.
        lesson: the edit.
        picks: rows of it that are to be learned.
        tail: the model.
    """
    looking = _Looking(delta, tail)
    with tail.site.evaluating(), torch.enable_grad():
        asked = [lesson.rows[i] for i in picks]
        rows = tail.rows(asked, UNCHANGED, views=0, generator=lesson.generator)  # the delta is in what is looked into
        logits = rows.evaluate(looking)[1]
        targets = torch.tensor([lesson.wanted[i] for i in picks], device=logits.device)
        loss = lesson.shares(picks).to(logits) @ functional.cross_entropy(logits, targets, reduction="none")
        return looking.gradients(loss)


class _Looking:
    """The layer with the terms of a delta, looked into. A `Change`."""

    overrides: Mapping[str, Tensor] = MappingProxyType({})

    def __init__(self, delta: FactorBank, tail: Tail) -> None:
        self.site, self.names, self.weights = tail.site, list(delta.maps), delta.weights()
        self.passes: list[LayerPass] = []

    def __call__(self, q: Tensor, out: Tensor) -> Tensor:
        seen = layer_pass(self.site.layer, q[:, : self.site.hidden_size], self.weights)
        self.passes.append(seen)
        return seen.out.to(out.dtype)

    def gradients(self, loss: Tensor) -> Gradients:
        """At the positions where one is not zero."""
        places = [(one, name) for one in self.passes for name in self.names]
        slopes = iter(torch.autograd.grad(loss, [one.gave[name] for one, name in places]))
        found = [{name: next(slopes).reshape(len(one.out), -1) for name in self.names} for one in self.passes]
        felt = [torch.stack([slope.any(1) for slope in one.values()]).any(0) for one in found]
        parts = list(zip(self.passes, found, felt, strict=True))
        return Gradients(
            {name: torch.cat([seen.given[name][at] for seen, _, at in parts]) for name in self.names},
            {name: torch.cat([slope[name][at] for _, slope, at in parts]) for name in self.names},
        )
