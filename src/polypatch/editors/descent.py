"""Gradient descent on a matrix, done among the few inputs at which anybody looks at it."""

from __future__ import annotations

from torch import Tensor


class Descent:
    """Steps ``Δ ← Δ + (∂Y)ᵀ X P`` where a loss knows nothing of Δ but ``Y = X Δᵀ``: they move Y by ``X P Xᵀ ∂Y``.

    No step needs Δ itself, which has hundreds of times as many numbers.

    Args:
        start: Y before the first step [r, d].
        inputs: X [r, f].
        measure: P [f, f], the same from both sides.
    """

    def __init__(self, start: Tensor, inputs: Tensor, measure: Tensor) -> None:
        self.start = start.detach()
        self._toward = inputs @ measure
        self._mixed = self._toward @ inputs.T
        self._steps = self.start.new_zeros(start.shape)

    def outputs(self) -> Tensor:
        """Y, ready for a gradient."""
        return (self.start + self._mixed @ self._steps).requires_grad_()

    def step(self, step: Tensor) -> None:
        """Take ∂Y [r, d]: −η ∂L/∂Y."""
        self._steps += step

    def moved(self) -> Tensor:
        """What all steps together add to Δ [d, f]."""
        return self._steps.T @ self._toward
