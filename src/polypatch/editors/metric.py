"""A metric in which steps hardly move what a matrix says to inputs that are known."""

from __future__ import annotations

import torch
from torch import Tensor


def metric(known: Tensor, counts: Tensor, ridge: float) -> Tensor:
    """``(Σ cᵢ xᵢxᵢᵀ + ρ)⁻¹`` [f, f], in float64.

    A step ``−η (∂L/∂W) P`` is gradient descent where distances are measured by the inverse of P.

    Args:
        known: x [n, f].
        counts: c [n].
        ridge: ρ.
    """
    x = known.double()
    total = (x * counts.to(x).unsqueeze(1)).T @ x
    total.diagonal().add_(ridge)
    return torch.cholesky_inverse(torch.linalg.cholesky(total))
