"""A neuron that is not in the bank yet, and both memories as its key sees them: what decides whether it stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from polypatch.deltas import PatchBank
from polypatch.editors.memory import Memory
from polypatch.sites import Tail

SILENT = -6.0
"""Pre-activations below it add nothing that could change an answer, under any of the activations models have."""


@dataclass(frozen=True, eq=False)
class Placed:
    """A neuron that is not in the bank yet. A `Change`.

    Attributes:
        direction: k ÷ `scale` [d], along which the memory was looked at.
        scale: of the key.
        bias, value: b, v [d].
        activation: the FFN's own.
    """

    direction: Tensor
    scale: Tensor
    bias: Tensor
    value: Tensor
    activation: Callable[[Tensor], Tensor]

    overrides = MappingProxyType[str, Tensor]({})

    @property
    def key(self) -> Tensor:
        """K [d]."""
        return self.direction * self.scale

    def __call__(self, q: Tensor, out: Tensor) -> Tensor:
        """`out` plus what the neuron adds to it."""
        return out + self.activation(q @ self.key + self.bias).unsqueeze(-1) * self.value


class Look:
    """Both memories as a key sees them: one product, whatever bias and value are tried.

    Args:
        key: [d].
        memory: rows of finished edits stand in both of its parts, and are looked at once.
    """

    def __init__(self, key: Tensor, memory: Memory) -> None:
        train, validation = memory.train, memory.validation
        self.key = key
        self.parts = [(rows, rows @ key) for rows in (train.rows, validation.rows[: validation.base])]

    def loudest(self, allowed: int) -> Tensor:
        """The largest q·k but for `allowed` rows."""
        z = torch.cat([z for _, z in self.parts])
        return z.topk(min(allowed + 1, len(z))).values[-1] if len(z) else z.new_tensor(0.0)

    @torch.no_grad()
    def changes(self, neuron: Placed, bank: PatchBank, tail: Tail) -> int:
        """How many rows get another answer by a neuron along this key, beside those of the bank."""
        q = torch.cat([rows[neuron.scale * z + neuron.bias > SILENT] for rows, z in self.parts])
        if not len(q):
            return 0
        out = bank(q, tail.site.ffn(q))
        before, after = (tail.site.logits(q, now).argmax(-1) for now in (out, neuron(q, out)))
        return int((before != after).sum())
