"""A neuron that is not in the bank yet, and both memories as its key sees them: what decides whether it stays."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from polypatch.deltas import PatchBank
from polypatch.editors.memory import Memory
from polypatch.sites import Change, Tail

SILENT = -6.0
"""Pre-activations below it add nothing that could change an answer, where the activation is GELU or ReLU."""

FAINT = 1e-7
"""Of an activation; what is less adds nothing either."""


NEAR = 0.05
"""How much quieter than a text a row may be that its key should not see, in the unit of `separation`."""

AT_ONCE = 100
"""Such rows of a memory, at most."""


@functools.cache
def silent_below(activation: Callable[[Tensor], Tensor]) -> float:
    """The pre-activation below which an activation is silent: −6, or less where it dies down slowly, as SiLU does."""
    z = torch.arange(-40.0, SILENT + 0.25, 0.25)
    loud = (activation(z).abs() > FAINT).nonzero()
    if not len(loud):
        return SILENT
    first = int(loud[0])
    return float(z[first - 1]) if first else -float("inf")


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
        beside: queries of the same edit [n, d] that are to say something else.
    """

    def __init__(self, key: Tensor, memory: Memory, beside: Tensor | None = None) -> None:
        train, validation = memory.train, memory.validation
        self.key = key
        self.others = key.new_empty(0, len(key)) if beside is None else beside
        self.beside = self.others @ key
        self.parts = [
            (part, part.rows[:used] @ key) for part, used in ((train, train.used), (validation, validation.base))
        ]

    def loudest(self, allowed: int) -> Tensor:
        """The largest q·k but for `allowed` rows of the memory, each as often as it counts."""
        z = torch.cat([z for _, z in self.parts])
        top, order = z.topk(min(allowed + 1, len(z)))
        if allowed and len(z):
            counts = torch.cat([part.counts[: len(own)] for part, own in self.parts])
            top = top[: 1 + int((counts[order].cumsum(0) <= allowed).sum())]
        loud = top[-1] if len(z) else z.new_tensor(0.0)
        return torch.maximum(loud, self.beside.max()) if len(self.beside) else loud

    def near(self, q: Tensor) -> Tensor:
        """Rows [m, d] of the memory, and of those beside, that are all but as loud as the queries [n, d], or louder."""
        edge = (q @ self.key).min() - NEAR
        found = []
        for rows, z in ((part.rows, z) for part, z in self.parts):
            loud, order = z.topk(min(AT_ONCE, len(z)))
            found.append(rows[order[loud > edge]])
        return torch.cat([*found, self.others[self.beside > edge]])

    @torch.no_grad()
    def changes(self, neuron: Placed, bank: PatchBank, tail: Tail) -> int:
        """How many rows, each as often as it counts, get another answer by a neuron along this key."""
        silent = silent_below(neuron.activation)
        heard = [(part, (neuron.scale * z + neuron.bias > silent).nonzero().flatten()) for part, z in self.parts]
        rows = [part.asked[i] for part, loud in heard for i in loud.tolist()]
        before, after = (tail.said(rows, change).ids for change in (bank, Both(bank, neuron)))
        return int(torch.cat([part.counts[loud] for part, loud in heard])[before != after].sum())


class Both:
    """One change after the other. A `Change`."""

    overrides = MappingProxyType[str, Tensor]({})

    def __init__(self, first: Change, second: Change) -> None:
        self.first, self.second = first, second

    def __call__(self, q: Tensor, out: Tensor) -> Tensor:
        """The second one's output on the first one's."""
        return self.second(q, self.first(q, out))
