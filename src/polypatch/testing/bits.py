"""Comparisons down to the bit, and a photograph of everything that editing must leave alone."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

TOLERANCE = 1e-5
"""Largest difference of logits, in units of the largest logit where that is above 1, between tail and unedited model.
"""

AMPLIFIED = 1e-4
"""The same for an edited one: a patch multiplies the rounding of q·k by the length of its value, easily a hundred."""


@dataclass(frozen=True)
class Photograph:
    """Everything of a model that editing must leave as it was."""

    weights: dict[str, Tensor]
    wanted: dict[str, bool]
    modes: dict[str, bool]
    hooks: dict[str, int]

    @classmethod
    def of(cls, model: nn.Module) -> Photograph:
        """Of this model, now."""
        return cls(
            {name: tensor.detach().clone() for name, tensor in model.state_dict().items()},
            {name: parameter.requires_grad for name, parameter in model.named_parameters()},
            {name: module.training for name, module in model.named_modules()},
            {name: len(m._forward_hooks) + len(m._forward_pre_hooks) for name, m in model.named_modules()},
        )

    def compare(self, model: nn.Module, when: str, *, hooks: bool = True) -> None:
        """Require that the model is as it was; `hooks=False` while it is attached."""
        law, now = "base weights never change", Photograph.of(model)
        require(same_tensors(self.weights, now.weights), law, f"a weight is another one {when}")
        require(self.wanted == now.wanted, law, f"requires_grad was not restored {when}")
        require(self.modes == now.modes, law, f"train and eval modes were not restored {when}")
        require(not hooks or self.hooks == now.hooks, law, f"a hook is left {when}")


RandomState: TypeAlias = tuple[Tensor, Any, Any]
"""Torch's, Python's and NumPy's global random state."""


def random_state() -> RandomState:
    """The three global states as they are."""
    return torch.get_rng_state(), random.getstate(), np.random.get_state()  # noqa: NPY002


def set_random_state(state: RandomState) -> None:
    """Put them back."""
    torch.set_rng_state(state[0])
    random.setstate(state[1])
    np.random.set_state(state[2])  # noqa: NPY002


def same_state(one: RandomState, two: RandomState) -> bool:
    """Whether nothing was drawn in between."""
    (_, words, position, *_), (_, words2, position2, *_) = one[2], two[2]
    numpys = np.array_equal(words, words2) and position == position2
    return numpys and one[1] == two[1] and torch.equal(one[0], two[0])


def same_bits(one: Tensor, two: Tensor) -> bool:
    """Equal shape, type and bytes."""
    if one.shape != two.shape or one.dtype != two.dtype:
        return False
    # As bytes: 0.0 == -0.0 and NaN != NaN, but bits are bits.
    return torch.equal(*(tensor.detach().cpu().contiguous().flatten().view(torch.uint8) for tensor in (one, two)))


def same_tensors(one: Mapping[str, Tensor], two: Mapping[str, Tensor]) -> bool:
    """The same names, and the same bits under each."""
    return one.keys() == two.keys() and all(same_bits(one[name], two[name]) for name in one)


def close(got: Tensor, wanted: Tensor, law: str, what: str, tolerance: float = TOLERANCE) -> None:
    """Require logits to agree within `tolerance`, relative to the largest where that is above 1.

    In float64 within 10⁻⁷ of that, as its rounding is finer by more.
    """
    gap = float((got.cpu() - wanted.cpu()).abs().max())
    tolerance *= 1e-7 if wanted.dtype == torch.float64 else 1.0
    limit = tolerance * max(1.0, float(wanted.abs().max()))
    # Not `gap > limit` turned round: a NaN is a difference too.
    require(gap <= limit, law, f"logits of {what} differ by {gap:.2g} (limit {limit:.2g})")


def require(holds: bool, law: str, detail: str) -> None:
    """Name the law in the message, so that a failure says which one broke."""
    if not holds:
        raise AssertionError(f"broken law: {law}: {detail}")
